import { Start } from "@/features/session/start";

export default function IndexPage() {
  return <Start />;
}
