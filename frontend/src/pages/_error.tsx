import { Stopped } from "@/shared/stopped";

/** In place of the framework's own, whose inline styles the content security policy forbids. */
export default function ErrorPage() {
  return <Stopped />;
}
