// Small parts: statuses, times, links, notes, what is shown where there is nothing yet.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Failure, GONE } from "../../api";
import type { RunView } from "../../api_types";
import { showAgo, showDuration, showInstant } from "../../model/instants";
import { printable } from "../../model/printable";
import { isEnded, lookOf, lookOfRun, type StatusLook } from "../../model/statuses";
import { now } from "../../state/clock";
import { go } from "../../state/router";
import { Icon, type IconName } from "./Icon";
import { Placed } from "./Placed";

export function StatusMark({ look, isCompact = false }: { look: StatusLook; isCompact?: boolean }) {
  return (
    <span class={`status tone-${look.tone}`}>
      <Icon name={look.mark} size={14} />
      <span class={isCompact ? "hidden-text" : ""}>{look.label}</span>
    </span>
  );
}

export function RunStatus({ run }: { run: RunView }) {
  return <StatusMark look={lookOfRun(run)} />;
}

export function Status({ status }: { status: string }) {
  return <StatusMark look={lookOf(status)} />;
}

export function Ago({ at }: { at: string }) {
  return (
    <time class="num" dateTime={at} title={showInstant(at)}>
      {showAgo(at, now.value)}
    </time>
  );
}

/** How long a run took, or has taken until now. */
export function RunDuration({ run }: { run: RunView }) {
  if (isEnded(run.status) || !run.started_at) return <span class="num">{showDuration(run.duration_ms)}</span>;
  const ms = now.value - Date.parse(run.started_at);
  return <span class="num dim">{showDuration(Math.max(run.duration_ms ?? 0, Math.floor(ms / 1000) * 1000))}</span>;
}

export interface LinkProps {
  href: string;
  children?: ComponentChildren;
  class?: string;
  title?: string;
  tabIndex?: number;
  "aria-label"?: string;
  "aria-current"?: "page" | undefined;
}

/** A link within the studio: a plain click goes there without loading the page anew. */
export function A({ href, children, ...rest }: LinkProps) {
  return (
    <a
      href={href}
      {...rest}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(href);
      }}
    >
      {children}
    </a>
  );
}

export interface ButtonProps extends Omit<JSX.IntrinsicElements["button"], "icon"> {
  icon?: IconName;
  kind?: "plain" | "main" | "danger" | "quiet";
  /** Each click of a double click is one more of the same: a step, a zoom. */
  repeats?: boolean;
}

/** A double click acts once, so that nobody starts two runs by it; what is pressed in or out goes in and out. */
export function Button({ icon, children, kind = "plain", repeats = false, onClick, ...rest }: ButtonProps) {
  const isAgain = (event: MouseEvent) => event.detail > 1 && !repeats && rest["aria-pressed"] === undefined;
  return (
    <button
      type="button"
      {...rest}
      class={`button button-${kind} ${rest.class ?? ""}`}
      onClick={(event) => {
        if (isAgain(event)) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {icon && <Icon name={icon} size={14} />}
      {children && <span>{children}</span>}
    </button>
  );
}

/** Copies a text, which may be made only then; says so for a moment. */
export function Copy({ text, label, what = "copy" }: { text: string | (() => string); label?: string; what?: string }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [isCopied]);
  return (
    <button
      type="button"
      class="button button-quiet copy"
      aria-label={isCopied ? "copied" : what}
      title={isCopied ? "copied" : what}
      onClick={(event) => {
        event.stopPropagation();
        void copyText(typeof text === "string" ? text : text()).then(setCopied);
      }}
    >
      <Icon name={isCopied ? "check" : "copy"} size={14} />
      {label && <span>{isCopied ? "copied" : label}</span>}
    </button>
  );
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A command that does the same, to be copied. */
export function Command({ text }: { text: string }) {
  return (
    <span class="command">
      <code>{text}</code>
      <Copy text={text} what="copy the command" />
    </span>
  );
}

export function Chip({
  children,
  tone = "idle",
  title,
}: {
  children: ComponentChildren;
  tone?: string;
  title?: string;
}) {
  return (
    <span class={`chip tone-${tone}`} title={title}>
      {children}
    </span>
  );
}

export function Key({ children }: { children: string }) {
  return (
    <span class="keys">
      {children.split(" ").map((key) => (
        <kbd key={key}>{key.replace("Mod", isMac ? "⌘" : "Ctrl")}</kbd>
      ))}
    </span>
  );
}

export const isMac = /Mac|iP/.test(navigator.platform);

/** Words of ours, in which code stands between backticks. */
export function Prose({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

/** What went wrong, with the fields that every face shows. */
export function FailureNote({ failure, again }: { failure: Failure; again?: () => void }) {
  // The banner above says it already, and what to do; it is asked for again as soon as the server is back.
  if (failure.slug === GONE) {
    return (
      <p class="note-gone" role="status">
        <Icon name="clock" size={14} /> It is read as soon as the server is back.
      </p>
    );
  }
  const [first, ...more] = printable(failure.message).split("\n");
  return (
    <div class="note note-bad" role="alert">
      <p class="note-title">
        <Icon name="bang" size={14} />
        <strong>{first}</strong>
        <code class="slug">{failure.slug}</code>
      </p>
      {more.length > 0 && (
        <pre class="raw" tabIndex={0}>
          {more.join("\n").replace(/^\n+/, "")}
        </pre>
      )}
      {failure.where && (
        <p class="mono">
          at <Placed text={failure.where} />
        </p>
      )}
      {failure.hint && (
        <p class="dim">
          <Prose text={failure.hint} />
        </p>
      )}
      {again && (
        <Button icon="again" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Loading({ what, rows = 6 }: { what: string; rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="hidden-text">loading {what}</span>
      {Array.from({ length: rows }, (_, index) => (
        <div class="loading-row" key={index} aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export interface TabItem {
  id: string;
  label: string;
  count?: number | null;
}

/** A row of tabs. Arrow keys move along it, as people who use a keyboard expect. */
export function Tabs({
  items,
  shown,
  onShow,
  label,
}: {
  items: readonly TabItem[];
  shown: string;
  onShow: (id: string) => void;
  label: string;
}) {
  const list = useRef<HTMLDivElement>(null);
  // On a phone the row is longer than the screen.
  useEffect(() => {
    list.current?.querySelector(`[data-tab="${shown}"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [shown]);
  const move = (event: KeyboardEvent, index: number) => {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1 };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const next = items[(index + step + items.length) % items.length]!;
    onShow(next.id);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} ref={list}>
      {items.map((item, index) => (
        <button
          type="button"
          role="tab"
          key={item.id}
          id={`tab-${item.id}`}
          data-tab={item.id}
          aria-selected={item.id === shown}
          aria-controls={item.id === shown ? `panel-${item.id}` : undefined}
          tabIndex={item.id === shown ? 0 : -1}
          onClick={() => onShow(item.id)}
          onKeyDown={(event) => move(event, index)}
        >
          {item.label}
          {item.count ? <span class="tab-count num">{item.count}</span> : null}
        </button>
      ))}
    </div>
  );
}

export function Panel({ id, children }: { id: string; children: ComponentChildren }) {
  return (
    <div class="panel" role="tabpanel" id={`panel-${id}`} aria-labelledby={`tab-${id}`}>
      {children}
    </div>
  );
}

export function ScreenHead({ title, children }: { title: ComponentChildren; children?: ComponentChildren }) {
  return (
    <header class="screen-head">
      <h1>{title}</h1>
      <div class="screen-actions">{children}</div>
    </header>
  );
}
