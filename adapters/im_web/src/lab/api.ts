/** What the lab's own server can be asked for. */
import type { Cut, Side, Weather } from './chaos'

/** The chat server, which is the lab server's child. */
export interface ServerState {
  state: 'running' | 'killed' | 'stopped' | 'starting'
  pid: number | null
  /** How often it was started. */
  starts: number
}

/** What a window's proxy does to its bytes. */
export interface Faults extends Weather {
  /** Nothing gets through, and nobody is told. */
  blackhole: boolean
}

/** Who talks in a window. */
export interface LabUser {
  id: number
  name: string
  window: Side
}

/** What the page is told at the start. */
export interface LabInfo {
  wsUrls: Record<Side, string>
  users: LabUser[]
  server: ServerState
  faults: Record<Side, Faults>
  /** The most of each slider, seconds. */
  limits: { latency: number; jitter: number }
  /** What each fault does, a sentence each. */
  meanings: Record<string, string>
}

/** One direction in the server's database. */
export interface StoredConversation {
  from: number | string
  to: number | string
  accepted: number
  msgIds: (number | string)[]
}

/** Something that happened to a connection on its way through a proxy. */
export interface LinkEvent {
  window: Side
  what: string
  seconds?: number
}

/** Who wants to hear of what happens at the lab's server. */
export interface LabListener {
  server(server: ServerState): void
  faults(faults: Record<Side, Faults>): void
  link(event: LinkEvent): void
  /** The lab's server can be heard, or not. */
  heard(yes: boolean): void
}

/** The control API; a call that is refused throws an Error with the server's words. */
export class LabApi {
  info(): Promise<LabInfo> {
    return this.#call('lab')
  }

  async setFaults(side: Side | 'both', faults: Partial<Faults>): Promise<void> {
    await this.#call('faults', { window: side, ...faults })
  }

  async cut(side: Side | 'both', how: Cut): Promise<void> {
    await this.#call('cut', { window: side, how })
  }

  async server(what: 'kill' | 'stop' | 'start' | 'restart'): Promise<void> {
    await this.#call('server', { do: what })
  }

  async expire(side: Side): Promise<void> {
    await this.#call('token', { window: side, do: 'expire' })
  }

  async token(side: Side): Promise<string> {
    return (await this.#call<{ token: string }>(`token?window=${side}`)).token
  }

  async stored(): Promise<StoredConversation[]> {
    const tally = await this.#call<{ perConversation: StoredConversation[] }>('tally')
    return tally.perConversation
  }

  /** Listen until the returned function is called. */
  listen(listener: LabListener): () => void {
    const source = new EventSource('/api/events')
    const hear = <T>(name: string, tell: (data: T) => void): void =>
      source.addEventListener(name, (event) => tell(JSON.parse((event as MessageEvent).data)))
    hear('server', listener.server)
    hear('faults', listener.faults)
    hear('link', listener.link)
    source.onopen = () => listener.heard(true)
    source.onerror = () => listener.heard(false)
    return () => source.close()
  }

  async #call<T>(path: string, body?: object): Promise<T> {
    const answer = await fetch(
      `/api/${path}`,
      body && {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      },
    )
    const data = await answer.json()
    if (!answer.ok) throw new Error(data.error ?? `HTTP ${answer.status}`)
    return data
  }
}
