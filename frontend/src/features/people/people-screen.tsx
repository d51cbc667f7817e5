import { UsersRound } from "lucide-react";
import { selectReady, selectViewer } from "@/shared/live/selectors";
import { useAppSelector } from "@/shared/store";
import { Avatar } from "@/shared/ui/avatar";
import { EmptyState } from "@/shared/ui/empty-state";
import { Layout } from "@/shared/ui/layout";
import { PageColumn } from "@/shared/ui/page-column";
import { ListSkeleton } from "@/shared/ui/skeleton";
import { selectPeople } from "./selectors";

/** Everyone who shares a chat with me, and me. */
export function PeopleScreen({ unread }: { readonly unread: number }) {
  const people = useAppSelector(selectPeople);
  const viewer = useAppSelector(selectViewer);
  const ready = useAppSelector(selectReady);

  return (
    <Layout title="People" unread={unread}>
      <PageColumn title="People">
        {people.length > 0 ? (
          <ul
            aria-label="People"
            className="divide-y divide-base-300 overflow-hidden rounded-box border border-base-300 bg-base-100"
          >
            {people.map(({ id, name, about }) => (
              <li key={id} className="flex items-start gap-4 p-4">
                <Avatar id={id} name={name} />
                <div className="flex min-h-11 min-w-0 flex-1 flex-col justify-center gap-0.5">
                  <p className="flex items-baseline gap-2">
                    <span dir="auto" className="user-text font-semibold">
                      {name}
                    </span>
                    {id === viewer ? (
                      <span className="rounded-full bg-selected px-2 py-0.5 text-xs font-medium text-primary">You</span>
                    ) : null}
                  </p>
                  {about ? (
                    <p dir="auto" className="user-text line-clamp-4 text-sm whitespace-pre-wrap text-muted">
                      {about}
                    </p>
                  ) : null}
                </div>
              </li>
            ))}
          </ul>
        ) : ready ? (
          <EmptyState icon={UsersRound} title="Nobody here yet">
            Whoever shares a chat with you stands here.
          </EmptyState>
        ) : (
          <ListSkeleton label="Loading the people" />
        )}
      </PageColumn>
    </Layout>
  );
}
