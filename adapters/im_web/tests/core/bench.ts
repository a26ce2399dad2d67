import { ClientCore } from '../../src/core'
import type { CoreAction, CoreInput, Event, GivenConfig } from '../../src/core'

const RNG = {
  uniform: (low: number, high: number) => (low + high) / 2,
  hex64: () => 'a1'.repeat(8),
}

/** An engine at time 0, and short ways to say what happens to it. */
export class Bench {
  readonly core: ClientCore
  now = 0

  constructor(config: Partial<GivenConfig> = {}) {
    this.core = new ClientCore(
      { wsUrl: 'ws://im.example:9/ws', token: 't0', userId: 7, ...config },
      { now: 0, wall: 1_700_000_000, rng: RNG },
    )
  }

  step(input: CoreInput): CoreAction[] {
    return this.core.step(input, this.now)
  }

  /** Up to the open link. */
  open(capable = true): CoreAction[] {
    const { transport } = this.core
    this.step({ type: 'TransportOpened', transport })
    return this.step({ type: 'LinkOpened', transport, capable })
  }

  hears(type: string, message: object): CoreAction[] {
    const { transport } = this.core
    const text = JSON.stringify({ type, message: JSON.stringify(message) })
    return this.step({ type: 'TextReceived', transport, text })
  }

  /** Connected and logged in. */
  static loggedIn(data: object = {}, config: Partial<GivenConfig> = {}): Bench {
    const bench = new Bench(config)
    bench.step({ type: 'Connect' })
    bench.open()
    bench.hears('AUTH_RESPONSE', { code: 0, data })
    return bench
  }
}

export function events(actions: CoreAction[]): Event[] {
  return actions.flatMap((action) => (action.type === 'Notify' ? action.event : []))
}

/** What was done, by name; an event by its own. */
export function types(actions: CoreAction[]): string[] {
  return actions.map((action) => (action.type === 'Notify' ? action.event.type : action.type))
}
