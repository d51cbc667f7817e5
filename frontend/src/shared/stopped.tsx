/** What stands where a screen would be that failed to render. */
export function Stopped() {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-4 p-6 text-center" role="alert">
      <h1 className="text-xl font-semibold">This page stopped working</h1>
      <p>Nothing that was sent is lost. Reload the page to go on.</p>
      <button type="button" className="btn btn-primary" onClick={() => window.location.reload()}>
        Reload
      </button>
    </main>
  );
}
