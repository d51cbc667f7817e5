import { useRouter } from "next/router";
import { ChatsScreen } from "@/features/chats/chats-screen";

export default function ChatPage() {
  const { id } = useRouter().query;
  // An exported page gets to know its address only after its first render.
  return <ChatsScreen open={id === undefined ? "pending" : Number(id)} />;
}
