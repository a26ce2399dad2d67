/**
 * Places a machine's states and arrows on a drawing.
 *
 * Each state is a layer of its own, in the order in which they are come to: a column. Arrows to the
 * next row go straight down; those that skip rows run down on the right, those that go back run up
 * on the left. Arrows to one state share a lane, as lines of a map that lead to one place.
 */
import type { Table } from '../generated/tables'

/** A state's box; x and y are its upper left corner. */
export interface Box {
  state: string
  x: number
  y: number
}

/** All transitions from one state to another. */
export interface Arrow {
  from: string
  to: string
  events: string[]
  /** An SVG path; its end is the arrow's head. */
  path: string
}

/** A drawing; lengths are in SVG units. */
export interface Drawing {
  width: number
  height: number
  boxes: Box[]
  arrows: Arrow[]
}

/** The size of a box. */
export const BOX = { width: 92, height: 22 }

const GAP = 15
const LANE = 8
/** From a box to the first lane. */
const SHOULDER = 9
const EDGE = 3
const CORNER = 4
/** How far from the middle of a box arrows come and go. */
const OFF = 4

/** The states: each behind those that lead to it, as far as there is no way back. */
export function order(table: Table): string[] {
  const seen = new Set<string>()
  const found: string[] = []
  const visit = (state: string): void => {
    if (seen.has(state)) return
    seen.add(state)
    Object.values(table.next[state] ?? {})
      .reverse()
      .forEach(visit)
    found.unshift(state)
  }
  visit(table.initial)
  return [...found, ...Object.keys(table.next).filter((state) => !seen.has(state))]
}

/** The transitions, those between the same two states together. */
function pairs(table: Table): { from: string; to: string; events: string[] }[] {
  return Object.entries(table.next).flatMap(([from, next]) => {
    const byTarget = new Map<string, string[]>()
    for (const [event, to] of Object.entries(next))
      byTarget.set(to, [...(byTarget.get(to) ?? []), event])
    return [...byTarget].map(([to, events]) => ({ from, to, events }))
  })
}

/** Which lane the arrows to each target take, counted from the boxes: short ones inside. */
function lanes(spans: { from: number; to: number }[]): Map<number, number> {
  const reach = new Map<number, number>()
  for (const { from, to } of spans) reach.set(to, Math.max(reach.get(to) ?? 0, Math.abs(from - to)))
  const inside = [...reach].sort((a, b) => a[1] - b[1] || a[0] - b[0])
  return new Map(inside.map(([to], lane) => [to, lane]))
}

/** The drawing of a machine. */
export function layout(table: Table): Drawing {
  const states = order(table)
  const row = new Map(states.map((state, i) => [state, i]))
  const arrows = pairs(table).map((pair) => ({
    ...pair,
    rows: { from: row.get(pair.from)!, to: row.get(pair.to)! },
  }))
  const back = lanes(arrows.map((a) => a.rows).filter((rows) => rows.to < rows.from))
  const ahead = lanes(arrows.map((a) => a.rows).filter((rows) => rows.to > rows.from + 1))
  const loops = arrows.some((a) => a.from === a.to)
  const room = (count: number): number => (count > 0 ? SHOULDER + (count - 1) * LANE : 0)
  const left = EDGE + room(back.size)
  const right = left + BOX.width
  const top = EDGE
  const middle = (i: number): number => top + i * (BOX.height + GAP) + BOX.height / 2

  const draw = ({ from, to }: { from: number; to: number }): string => {
    if (to === from + 1) {
      const x = left + BOX.width / 2
      return `M${x} ${middle(from) + BOX.height / 2}V${middle(to) - BOX.height / 2}`
    }
    if (to === from) {
      const y = middle(from) - BOX.height / 2 + 2
      return `M${right} ${y}h${CORNER}a${OFF} ${OFF} 0 0 1 0 ${2 * OFF}h${-CORNER}`
    }
    const isBack = to < from
    const out = isBack ? -1 : 1
    const start = isBack ? left : right
    const x = start + out * (SHOULDER + (isBack ? back : ahead).get(to)! * LANE)
    const [y0, y1] = [middle(from) + out * OFF, middle(to) - out * OFF]
    return (
      `M${start} ${y0}H${x - out * CORNER}Q${x} ${y0} ${x} ${y0 + out * CORNER}` +
      `V${y1 - out * CORNER}Q${x} ${y1} ${x - out * CORNER} ${y1}H${start}`
    )
  }

  return {
    width: right + Math.max(room(ahead.size), loops ? CORNER + OFF : 0) + EDGE,
    height: top + states.length * (BOX.height + GAP) - GAP + EDGE,
    boxes: states.map((state, i) => ({ state, x: left, y: middle(i) - BOX.height / 2 })),
    arrows: arrows.map(({ from, to, events, rows }) => ({ from, to, events, path: draw(rows) })),
  }
}

/** The states from one to another by the fewest transitions, both included; [] if there is no way. */
export function way(table: Table, from: string, to: string): string[] {
  const cameFrom = new Map<string, string | null>([[from, null]])
  for (const state of cameFrom.keys())
    for (const next of Object.values(table.next[state] ?? {}))
      if (!cameFrom.has(next)) cameFrom.set(next, state)
  const states: string[] = []
  for (let at: string | null = cameFrom.has(to) ? to : null; at !== null; at = cameFrom.get(at)!)
    states.unshift(at)
  return states
}
