import { SignIn } from "@/features/session/sign-in";

export default function SignInPage() {
  return <SignIn />;
}
