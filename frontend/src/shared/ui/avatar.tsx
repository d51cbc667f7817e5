interface AvatarProps {
  /** Decides the colour: the user's number, or the chat's. */
  readonly id: number;
  readonly name: string;
  readonly size?: "small" | "medium" | "large";
}

const SIZES = {
  small: "size-8 text-xs",
  medium: "size-11 text-sm",
  large: "size-16 text-xl",
} as const;

/** A face: initials on a colour of the person's own. Hidden from screen readers, as the name always stands beside it. */
export function Avatar({ id, name, size = "medium" }: AvatarProps) {
  return (
    <span
      aria-hidden="true"
      className={`face ${faceOf(id)} ${SIZES[size]} grid shrink-0 place-items-center rounded-full font-semibold select-none`}
    >
      {initials(name)}
    </span>
  );
}

// Written out, because the style sheet holds only the classes that stand somewhere in full.
const FACES = ["face-0", "face-1", "face-2", "face-3", "face-4", "face-5", "face-6", "face-7"] as const;

/** The class that sets a person's colour. */
export function faceOf(id: number): string {
  return FACES[Math.abs(id) % FACES.length] ?? FACES[0];
}

/** The first letter of the first and of the last word, whole characters only. */
function initials(name: string): string {
  const words = name.match(/[\p{L}\p{N}]\S*/gu) ?? [];
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : words;
  return chosen.map((word) => [...(word ?? "")][0]?.toUpperCase() ?? "").join("") || "?";
}
