"""What people of a filled database write: short and long, in several scripts, with all that upsets layouts."""

from __future__ import annotations

from random import Random

TITLES = (
    "Release train",
    "Lunch",
    "Night shift",
    "Garden fence 🌱",
    "Café réseau",
    "Проект «Маяк»",
    "新しい画面",
    "Moving house",
    "Choir, Thursdays",
    "فريق الترجمة",
    "Incident 4711",
    "Book club",
    "Parents of class 3b",
    "Bike repair 🚲",
    "Budget, second half",
    "צוות הבדיקות",
)
SHORT = (
    "ok",
    "Yes!",
    "No idea, sorry.",
    "On my way.",
    "👍",
    "😂😂😂",
    "👩‍👩‍👧‍👦 weekend!",
    "Sounds good to me.",
    "Give me five minutes.",
    "Who has the key?",
    "Done ✅",
    "Спасибо!",
    "Дякую, вже дивлюся.",
    "了解です。",
    "明天见 🙂",
    "شكراً جزيلاً",
    "תודה רבה!",
    "Ευχαριστώ πολύ",
    "ठीक है, चलते हैं",
    "¿Mañana a las ocho?",
    "Çok güzel olmuş",
    "Schönes Wochenende!",
    "Cảm ơn bạn nhiều nhé",
    "+1",
    "…",
)
SENTENCES = (
    "The numbers of last week look better than I had feared.",
    "I moved the meeting, because half of us would have been on a train.",
    "Could somebody with fresh eyes read the second paragraph?",
    "It works on my phone, but the old tablet shows the list twice.",
    "We should write down why we decided so, before we forget it.",
    "The printer on the third floor is making that noise again.",
    "I will bring bread, someone else please bring the cheese.",
    "My sister says hello and wants to know when you visit.",
    "Das haben wir beim letzten Mal anders gemacht, oder irre ich mich?",
    "On peut en parler demain matin, j'ai toute la matinée.",
    "Давайте сначала проверим на тестовом сервере, а потом уже решим.",
    "会議室はまだ空いているので、三時からにしましょう。",
    "سأرسل لك النسخة الجديدة قبل نهاية اليوم.",
    "אני אבדוק את זה בערב ואחזור אליכם.",
    "If it rains we meet inside, same time, same people.",
    "Nobody touched that file for two years, and today three of us did.",
    "The second link is the right one, please forget the first.",
    "What would it take to have it by Friday?",
)
ODDITIES = (
    "https://example.org/a/rather/long/address/that/no/line/can/hold?with=parameters&and=more#and-a-fragment",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    'if (a < b && b > c) { return "<b>not bold</b>"; }',
    "1. tent\n2. stove\n3. three pots\n4. the big torch\n\nAnything missing?",
    "Left to right, then שמאל לימין, then مرة أخرى, and back.",
    "Z̷a̸l̵g̶o̷ was here",
    "   three spaces before, two after  ",
    "& &amp; ' \" \\ / % _ * ` ~",
    "🏳️‍🌈🇺🇦🇯🇵👨🏽‍💻🧑🏿‍🚀",
)


def write(random: Random) -> str:
    """A message of 1 to some 2,000 characters; most are short."""
    kind = random.random()
    if kind < 0.45:
        return random.choice(SHORT)
    if kind < 0.80:
        return random.choice(SENTENCES)
    if kind < 0.95:
        return " ".join(random.sample(SENTENCES, random.randint(2, 4)))
    if kind < 0.98:
        return random.choice(ODDITIES)
    paragraphs = (" ".join(random.sample(SENTENCES, random.randint(3, 6))) for _ in range(random.randint(2, 4)))
    return "\n\n".join(paragraphs)
