import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/**
 * A modal dialog while it is rendered: the browser's own, so that focus stays in it, Escape closes it and focus goes
 * back to where it was. The element with `data-autofocus` gets the focus.
 */
export function Dialog({ title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const pressedOutside = useRef(false);

  // A layout effect, so that it closes while it is still in the page: only then does focus go back.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (!element || element.open) return;
    element.showModal();
    element.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => element.close();
  }, []);

  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      className="modal modal-bottom sm:modal-middle"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        pressedOutside.current = event.target === event.currentTarget;
      }}
      onClick={(event) => {
        // Not if the press began inside, as when text is selected beyond the edge.
        if (pressedOutside.current && event.target === event.currentTarget) onClose();
      }}
    >
      <div className="modal-box flex max-h-[85dvh] flex-col gap-4 overflow-hidden bg-base-100 p-5 pb-sheet sm:max-w-md">
        <div className="flex items-center justify-between gap-3">
          <h2 id={heading} className="text-xl font-semibold tracking-tight">
            {title}
          </h2>
          <button type="button" aria-label="Close" className="btn btn-circle btn-ghost" onClick={onClose}>
            <X aria-hidden="true" className="size-5" />
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
