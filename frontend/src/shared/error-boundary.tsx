import { Component, type ReactNode } from "react";
import { Stopped } from "./stopped";

/** Keeps a fault of one screen from leaving an empty page behind. On the server a fault is the whole answer's. */
export class ErrorBoundary extends Component<{ children?: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? <Stopped /> : this.props.children;
  }
}
