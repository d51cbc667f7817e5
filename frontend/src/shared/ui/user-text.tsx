interface UserTextProps {
  readonly children: string;
  readonly className?: string;
  readonly id?: string;
}

/** Text that a person wrote, inside a line: its direction is its own and never turns what stands around it. */
export function UserText({ children, className = "", id }: UserTextProps) {
  return (
    <span dir="auto" id={id} className={`user-text ${className}`}>
      {children}
    </span>
  );
}
