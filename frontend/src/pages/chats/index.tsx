import { ChatsScreen } from "@/features/chats/chats-screen";

export default function ChatsPage() {
  return <ChatsScreen open="none" />;
}
