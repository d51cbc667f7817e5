import { type ReactNode } from "react";
import { nameOf, selectById, selectReady, selectViewer } from "@/shared/live/selectors";
import { useAppSelector } from "@/shared/store";
import { Avatar } from "@/shared/ui/avatar";
import { Layout } from "@/shared/ui/layout";
import { PageColumn } from "@/shared/ui/page-column";
import { UserText } from "@/shared/ui/user-text";
import { ProfileForm } from "./profile-form";

interface ProfileScreenProps {
  readonly unread: number;
  /** What stands below the form: how to sign out. */
  readonly children: ReactNode;
}

/** Who I am, as others see me. */
export function ProfileScreen({ unread, children }: ProfileScreenProps) {
  const ready = useAppSelector(selectReady);
  const viewer = useAppSelector(selectViewer);
  const account = useAppSelector((state) => (viewer === null ? undefined : selectById(state, "account", viewer)));
  const profile = useAppSelector((state) => (viewer === null ? undefined : selectById(state, "profile", viewer)));
  const name = useAppSelector((state) => (viewer === null ? "" : nameOf(state, viewer)));

  return (
    <Layout title="Profile" unread={unread}>
      <PageColumn title="Profile">
        {ready && viewer !== null ? (
          <div className="flex flex-col gap-4">
            <section aria-label="Account" className="flex items-center gap-4 px-2 py-3">
              <Avatar id={viewer} name={name} size="large" />
              <div className="flex min-w-0 flex-col">
                <UserText className="text-lg font-semibold">{account?.username ?? ""}</UserText>
                <UserText className="text-muted">{account?.email ?? ""}</UserText>
              </div>
            </section>
            <ProfileForm profile={profile} />
            <div className="px-2 pt-2">{children}</div>
          </div>
        ) : (
          <div aria-busy="true" className="flex flex-col gap-4">
            <p className="sr-only">Loading the profile</p>
            <div className="flex items-center gap-4 px-2 py-3">
              <span className="skeleton size-16 shrink-0 rounded-full" />
              <span className="flex flex-col gap-2">
                <span className="skeleton h-5 w-28" />
                <span className="skeleton h-4 w-40" />
              </span>
            </div>
            <div className="flex flex-col gap-6 rounded-box border border-base-300 bg-base-100 p-5 sm:p-6">
              <span className="skeleton h-12" />
              <span className="skeleton h-12 sm:hidden" />
              <span className="skeleton h-28" />
              <span className="skeleton h-11 w-24" />
            </div>
          </div>
        )}
      </PageColumn>
    </Layout>
  );
}
