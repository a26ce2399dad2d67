import { shallowRef } from 'vue'
import type { IMClientConfig } from '../types/index'
import type { Faults, LabApi, LabInfo, ServerState } from './api'
import { CALM, describe, plan, random, type Fault, type Side } from './chaos'
import type { ClockBase } from './clock'
import { EventLog } from './log'
import { LabSide, type LabClient } from './side'
import { judge, Ledger, together, type Stored, type Tally, type Verdict } from './tally'

/** The two windows. */
export const SIDES = ['a', 'b'] as const

/** How far the chaos is. */
export interface ChaosView {
  phase: 'idle' | 'running' | 'settling' | 'over'
  seed: number
  /** ms of the plan that are left. */
  left: number
  faults: number
  of: number
  /** The last fault, or how it ended. */
  text: string
}

/** Both directions, and what the engines themselves have counted. */
export interface LabTally extends Tally {
  retransmitted: number
  suppressed: number
  reconnects: number
  resumed: number
}

/** What the lab needs of the world. */
export interface LabWorld {
  api: Pick<LabApi, keyof LabApi>
  base: ClockBase
  makeClient: (config: IMClientConfig) => LabClient
}

/** How often everything is looked at, ms. */
const LOOK = 100
/** How often messages are summed up in the log, ms. */
const SUM_UP = 1000
/** In chaos each user writes this often, ms. */
const PACE = 150
/** How long a minute of chaos is, ms. */
const CHAOS = 60_000
/** How long nothing may have moved before the database is read, ms. */
const QUIET = 400
/** A dead link is found within so many ms; before that, what has not arrived may still do so. */
const PATIENCE = 15_000

const PHRASES = [
  'is the book still there?',
  'yes. come by at six',
  '书还在吗？',
  '在的，晚上六点见',
  'ok 👍🏽',
  'see you at the library',
  'هل الكتاب متاح؟',
]

/** How long nothing may have moved before what has not arrived is lost, ms. */
export function patience(
  underway: number,
  server: ServerState,
  faults: Record<Side, Faults>,
): number {
  if (underway === 0) return QUIET
  if (server.state !== 'running') return Infinity
  const both = Object.values(faults)
  if (both.some((one) => one.blackhole || one.loss > 0)) return Infinity
  return PATIENCE + Math.max(...both.map((one) => one.latency + one.jitter)) * 4000
}

/** The lab: two clients, the server between them, and what is done to them. */
export class Lab {
  readonly log: EventLog
  readonly server: ReturnType<typeof shallowRef<ServerState>>
  readonly faults: ReturnType<typeof shallowRef<Record<Side, Faults>>>
  readonly tally: ReturnType<typeof shallowRef<LabTally>>
  readonly verdict: ReturnType<typeof shallowRef<Verdict>>
  readonly chaos = shallowRef<ChaosView>({
    phase: 'idle',
    seed: 7,
    left: 0,
    faults: 0,
    of: 0,
    text: '',
  })
  /** The lab's own server can't be heard. */
  readonly deaf = shallowRef(false)
  readonly sides: Record<Side, LabSide>
  #world: LabWorld
  #ledgers: Record<Side, Ledger> = { a: new Ledger(), b: new Ledger() }
  /** What the database held before this page was loaded. */
  #before: Record<Side, Stored>
  #stored: Stored[] | null = null
  #reading = false
  #moved = { what: '', at: 0 }
  #said = 0
  /** Since the last time it was told. */
  #lost = { a: { segments: 0, seconds: 0 }, b: { segments: 0, seconds: 0 } }
  /** Tells the texts of this page from those of the one before. */
  #run: string
  #timers = new Set<unknown>()
  #chaosTimers = new Set<unknown>()
  #stopListening: () => void = () => {}
  readonly names: Record<Side, string>

  /** Ask the lab's server who talks where, and start. */
  static async start(world: LabWorld): Promise<Lab> {
    const info = await world.api.info()
    const lab = new Lab(world, info, await storedOf(world.api, info))
    lab.#begin()
    return lab
  }

  private constructor(
    world: LabWorld,
    readonly info: LabInfo,
    before: Record<Side, Stored>,
  ) {
    this.#world = world
    this.#before = before
    this.#run = Math.floor(world.base.wall() % 46_656)
      .toString(36)
      .padStart(3, '0')
    this.log = new EventLog(() => world.base.wall())
    this.server = shallowRef(info.server)
    this.faults = shallowRef(info.faults)
    this.names = { a: userOf(info, 'a').name, b: userOf(info, 'b').name }
    this.sides = { a: this.#makeSide('a', 'b'), b: this.#makeSide('b', 'a') }
    this.tally = shallowRef(this.#count())
    this.verdict = shallowRef(this.#judge())
  }

  /** End the clients, and everything that waits. */
  async close(): Promise<void> {
    this.#stopListening()
    this.#clear(this.#chaosTimers)
    this.#clear(this.#timers)
    await Promise.all(SIDES.map((side) => this.sides[side].close()))
  }

  // ---------------------------------------------------------------- what one can do

  /** Do it, and write it down. */
  async apply(fault: Fault): Promise<void> {
    const side = 'side' in fault && fault.side !== 'both' ? fault.side : null
    const isClock = fault.do === 'step' || fault.do === 'sleep'
    this.log.add(isClock ? 'clock' : 'faults', side, describe(fault, this.names))
    try {
      await this.#carryOut(fault)
    } catch (error) {
      this.log.add('faults', side, `could not: ${(error as Error).message}`)
    }
  }

  /** Each user sends so many messages at once. */
  flood(each: number): void {
    this.log.add('messages', null, `flood: ${each.toLocaleString('en')} messages each way`)
    for (let i = 0; i < each; i++) for (const side of SIDES) this.#sayNext(side, i)
    this.#lookAround()
  }

  /** A minute in which things go wrong, while both users write. */
  startChaos(seed: number): void {
    if (this.chaos.value.phase === 'running') return
    const planned = plan(seed, CHAOS)
    this.log.add('faults', null, `chaos, seed ${seed}: ${planned.length} faults in a minute`)
    const start = this.#world.base.now()
    const draw = random(seed)
    this.chaos.value = {
      phase: 'running',
      seed,
      left: CHAOS,
      faults: 0,
      of: planned.length,
      text: '',
    }
    const later = (ms: number, what: () => void): void => {
      const timer = this.#world.base.setTimeout(() => {
        this.#chaosTimers.delete(timer)
        what()
      }, ms)
      this.#chaosTimers.add(timer)
    }
    const talk = (): void => {
      for (const side of SIDES) this.#sayNext(side, Math.floor(draw() * PHRASES.length))
      later(PACE, talk)
    }
    const countDown = (): void => {
      const left = Math.max(0, CHAOS - (this.#world.base.now() - start))
      this.chaos.value = { ...this.chaos.value, left }
      later(250, countDown)
    }
    for (const { at, fault } of planned) later(at, () => this.#next(fault))
    later(CHAOS, () => void this.stopChaos())
    talk()
    countDown()
  }

  /** No more faults; what is broken is mended. */
  async stopChaos(): Promise<void> {
    if (this.chaos.value.phase !== 'running') return
    this.#clear(this.#chaosTimers)
    this.chaos.value = { ...this.chaos.value, phase: 'settling', left: 0, text: '' }
    await this.mend()
  }

  /** A calm network, no holes, and a server that runs. */
  async mend(): Promise<void> {
    for (const side of SIDES) {
      await this.apply({ do: 'weather', side, weather: CALM })
      if (this.faults.value![side].blackhole) await this.apply({ do: 'blackhole', side, on: false })
    }
    if (this.server.value!.state !== 'running') await this.apply({ do: 'start' })
  }

  // ---------------------------------------------------------------- inside

  #makeSide(side: Side, other: Side): LabSide {
    return new LabSide({
      side,
      user: userOf(this.info, side),
      peer: userOf(this.info, other),
      wsUrl: this.info.wsUrls[side],
      token: () => this.#world.api.token(side),
      out: this.#ledgers[side],
      into: this.#ledgers[other],
      base: this.#world.base,
      log: (kind, from, text) => this.log.add(kind, from, text),
      makeClient: this.#world.makeClient,
    })
  }

  #begin(): void {
    this.#stopListening = this.#world.api.listen({
      server: (server) => {
        const told = server.pid === null ? '' : `, process ${server.pid}`
        this.log.add('server', null, `the server is ${server.state}${told}`)
        this.server.value = server
      },
      faults: (faults) => (this.faults.value = faults),
      link: ({ window, what, seconds }) => {
        if (what !== 'lost') return this.log.add('network', window, `connection ${what}`)
        this.#lost[window].segments++
        this.#lost[window].seconds += seconds ?? 0
      },
      heard: (yes) => (this.deaf.value = !yes),
    })
    for (const side of SIDES) this.sides[side].connect()
    this.#every(LOOK, () => this.#lookAround())
    this.#every(SUM_UP, () => SIDES.forEach((side) => this.#sumUp(side)))
  }

  /** What comes too often for a line each. */
  #sumUp(side: Side): void {
    this.sides[side].summarise()
    const { segments, seconds } = this.#lost[side]
    if (segments === 0) return
    this.#lost[side] = { segments: 0, seconds: 0 }
    const which = segments === 1 ? 'a segment was lost' : `${segments} segments were lost`
    this.log.add('network', side, `${which}: stalls of ${seconds.toFixed(1)} s`)
  }

  #next(fault: Fault): void {
    const text = describe(fault, this.names)
    this.chaos.value = { ...this.chaos.value, faults: this.chaos.value.faults + 1, text }
    void this.apply(fault)
  }

  async #carryOut(fault: Fault): Promise<void> {
    const { api } = this.#world
    switch (fault.do) {
      case 'cut':
        return api.cut(fault.side, fault.how)
      case 'kill':
      case 'stop':
      case 'start':
      case 'restart':
        return api.server(fault.do)
      case 'expire':
        return api.expire(fault.side)
      case 'weather':
        return api.setFaults(fault.side, fault.weather)
      case 'blackhole':
        return api.setFaults(fault.side, { blackhole: fault.on })
      case 'step':
        return this.sides[fault.side].clock.step(fault.ms)
      case 'sleep':
        return this.sides[fault.side].clock.sleep(fault.ms)
    }
  }

  #sayNext(side: Side, i: number): void {
    const phrase = PHRASES[i % PHRASES.length]!
    this.sides[side].say(`${phrase} #${++this.#said}·${this.#run}`)
  }

  #lookAround(): void {
    for (const side of SIDES) this.sides[side].tick()
    this.tally.value = this.#count()
    const { sent, accepted, failed, received, duplicated } = this.tally.value
    const what = [sent, accepted, failed, received, duplicated].join()
    if (what !== this.#moved.what) {
      this.#moved = { what, at: this.#world.base.now() }
      this.#stored = null
    }
    this.verdict.value = this.#judge()
    if (this.#isQuiet() && this.#stored === null && !this.#reading) void this.#read(what)
    if (this.chaos.value.phase === 'settling' && this.verdict.value.lost !== null) this.#settled()
  }

  async #read(what: string): Promise<void> {
    this.#reading = true
    try {
      const stored = await storedOf(this.#world.api, this.info)
      if (what === this.#moved.what)
        this.#stored = SIDES.map(
          (side) => new Set([...stored[side]].filter((id) => !this.#before[side].has(id))),
        )
    } catch {
      // the database can't be read just now; it is asked for again at the next look
    } finally {
      this.#reading = false
    }
  }

  #isQuiet(): boolean {
    const { underway, open } = this.tally.value!
    if (open > 0) return false
    const still = this.#world.base.now() - this.#moved.at
    return still >= patience(underway, this.server.value!, this.faults.value!)
  }

  #judge(): Verdict {
    const ledgers = SIDES.map((side) => this.#ledgers[side])
    return judge(ledgers, this.#stored, this.#isQuiet())
  }

  #count(): LabTally {
    const [a, b] = SIDES.map((side) => this.sides[side].view.value!.counters)
    const counted = (name: string): number => (a![name] ?? 0) + (b![name] ?? 0)
    return {
      ...together(this.#ledgers.a.tally(), this.#ledgers.b.tally()),
      retransmitted: counted('retransmitted'),
      suppressed: counted('duplicatesSuppressed'),
      reconnects: counted('reconnects'),
      resumed: counted('resumed'),
    }
  }

  #settled(): void {
    const { sent, duplicated, outOfOrder } = this.tally.value!
    const { lost } = this.verdict.value!
    const { faults, seed } = this.chaos.value
    const good = lost === 0 && duplicated === 0 && outOfOrder === 0
    const text = `${faults} faults, ${good ? 'nothing lost' : 'something is wrong'}`
    this.chaos.value = { ...this.chaos.value, phase: 'over', text }
    this.log.add(
      'messages',
      null,
      `chaos is over: seed ${seed}, ${faults} faults, ${sent.toLocaleString('en')} messages: ` +
        `lost ${lost}, duplicated ${duplicated}, out of order ${outOfOrder}`,
    )
  }

  #every(ms: number, what: () => void): void {
    const again = (): void => {
      const timer = this.#world.base.setTimeout(() => {
        this.#timers.delete(timer)
        what()
        again()
      }, ms)
      this.#timers.add(timer)
    }
    again()
  }

  #clear(timers: Set<unknown>): void {
    for (const timer of timers) this.#world.base.clearTimeout(timer)
    timers.clear()
  }
}

const userOf = (info: LabInfo, side: Side): LabInfo['users'][number] =>
  info.users.find((user) => user.window === side)!

/** The numbers of what each user has sent, as the database has them. */
async function storedOf(api: LabWorld['api'], info: LabInfo): Promise<Record<Side, Stored>> {
  const conversations = await api.stored()
  const of = (side: Side): Stored => {
    const id = String(userOf(info, side).id)
    const sent = conversations.filter((one) => String(one.from) === id)
    return new Set(sent.flatMap((one) => one.msgIds.map(String)))
  }
  return { a: of('a'), b: of('b') }
}
