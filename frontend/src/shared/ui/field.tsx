import type { InputHTMLAttributes, ReactNode, TextareaHTMLAttributes } from "react";
import { useId } from "react";

interface Own {
  readonly label: string;
  readonly problem?: string | undefined;
}

type FieldProps = Own & InputHTMLAttributes<HTMLInputElement>;
type AreaProps = Own & TextareaHTMLAttributes<HTMLTextAreaElement>;

/** A text field with its label above and what is wrong with it below. */
export function Field({ label, problem, ...input }: FieldProps) {
  const id = useId();
  return (
    <Labelled id={id} label={label} problem={problem}>
      <input {...input} id={id} {...described(id, problem)} className="input field h-12 w-full px-4" />
    </Labelled>
  );
}

/** As `Field`, for several lines. */
export function Area({ label, problem, ...area }: AreaProps) {
  const id = useId();
  return (
    <Labelled id={id} label={label} problem={problem}>
      <textarea
        {...area}
        id={id}
        {...described(id, problem)}
        className="textarea field min-h-28 w-full px-4 py-3 leading-relaxed"
      />
    </Labelled>
  );
}

function described(id: string, problem: string | undefined) {
  return problem ? { "aria-invalid": true, "aria-describedby": `${id}-problem` } : {};
}

function Labelled({ id, label, problem, children }: Own & { readonly id: string; readonly children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children}
      {problem ? (
        <p id={`${id}-problem`} className="user-text text-sm font-medium text-error">
          {problem}
        </p>
      ) : null}
    </div>
  );
}
