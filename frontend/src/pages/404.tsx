import { Compass } from "lucide-react";
import Link from "next/link";
import { DocumentHead } from "@/shared/ui/document-head";

export default function NotFoundPage() {
  return (
    <main className="grid min-h-dvh place-items-center px-6">
      <DocumentHead title="Nothing here" />
      <div className="flex flex-col items-center gap-4 text-center">
        <span className="grid size-20 place-items-center rounded-full bg-selected text-primary">
          <Compass aria-hidden="true" className="size-9" strokeWidth={1.5} />
        </span>
        <h1 className="text-3xl font-semibold tracking-tight">Nothing here</h1>
        <p className="max-w-xs text-pretty text-muted">
          This page does not exist, or it has moved. Your chats are safe.
        </p>
        <Link href="/chats/" className="btn mt-2 h-12 px-6 text-base btn-primary">
          To the chats
        </Link>
      </div>
    </main>
  );
}
