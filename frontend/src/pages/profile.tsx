import { useUnreadTotal } from "@/features/chats/use-unread-total";
import { ProfileScreen } from "@/features/profile/profile-screen";
import { SignOut } from "@/features/session/sign-out";

export default function ProfilePage() {
  return (
    <ProfileScreen unread={useUnreadTotal()}>
      <SignOut />
    </ProfileScreen>
  );
}
