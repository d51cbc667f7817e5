import { useUnreadTotal } from "@/features/chats/use-unread-total";
import { PeopleScreen } from "@/features/people/people-screen";

export default function PeoplePage() {
  return <PeopleScreen unread={useUnreadTotal()} />;
}
