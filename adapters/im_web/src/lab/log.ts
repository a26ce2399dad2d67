import { shallowRef } from 'vue'
import type { Side } from './chaos'

/** What a line of the log is about. */
export const KINDS = [
  'link',
  'messages',
  'network',
  'server',
  'faults',
  'clock',
  'heartbeat',
] as const
export type Kind = (typeof KINDS)[number]

/** Something that has happened. */
export interface LogEntry {
  n: number
  /** ms since 1970, of the real clock. */
  at: number
  side: Side | null
  kind: Kind
  text: string
}

/** So many lines are kept. */
export const KEPT = 200

/** The lab's log, the newest entry first. */
export class EventLog {
  readonly entries = shallowRef<readonly LogEntry[]>([])
  #count = 0
  #clock: () => number

  constructor(clock: () => number) {
    this.#clock = clock
  }

  add(kind: Kind, side: Side | null, text: string): void {
    const entry = { n: ++this.#count, at: this.#clock(), side, kind, text }
    this.entries.value = [entry, ...this.entries.value.slice(0, KEPT - 1)]
  }
}

/** Those of the wanted kinds that hold all words of `search`. */
export function filtered(
  entries: readonly LogEntry[],
  kinds: ReadonlySet<Kind>,
  search: string,
): LogEntry[] {
  const words = search.toLowerCase().split(/\s+/)
  return entries.filter(
    (entry) =>
      kinds.has(entry.kind) &&
      words.every((word) => `${entry.kind} ${entry.text}`.toLowerCase().includes(word)),
  )
}
