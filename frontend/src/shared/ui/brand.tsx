/** The mark: two speech bubbles, one answering the other. */
export function Brand({ className = "size-10" }: { readonly className?: string }) {
  return (
    <svg viewBox="0 0 40 40" aria-hidden="true" className={`${className} shrink-0`}>
      <rect width="40" height="40" rx="12" className="fill-own" />
      <path
        d="M13 9.5h10a5 5 0 0 1 5 5v2.5a5 5 0 0 1-5 5h-6.5L11 26v-4.5A5 5 0 0 1 8 17v-2.5a5 5 0 0 1 5-5z"
        className="fill-own-muted"
        opacity=".55"
      />
      <path
        d="M19 16.5h8a5 5 0 0 1 5 5V23a5 5 0 0 1-3 4.5V32l-5-4h-5a5 5 0 0 1-5-5v-1.5a5 5 0 0 1 5-5z"
        className="fill-own-content stroke-own"
        strokeWidth="2"
        strokeLinejoin="round"
      />
    </svg>
  );
}
