import { describe, expect, test } from 'vitest'
import { MACHINES, type Table } from '../../src/generated/tables'
import { BOX, layout, order, way, type Arrow, type Drawing } from '../../src/lab/layout'

const TABLES = Object.entries(MACHINES) as [string, Table][]

/** Every point that a path goes through, corners as their tips. */
function points(path: string): { x: number; y: number }[] {
  let [x, y] = [0, 0]
  const found: { x: number; y: number }[] = []
  for (const [, command, rest] of path.matchAll(/([MHVQha])([^MHVQha]*)/g)) {
    const numbers = rest!
      .trim()
      .split(/[ ,]+|(?=-)/)
      .map(Number)
    if (command === 'M') [x, y] = numbers as [number, number]
    else if (command === 'H') x = numbers[0]!
    else if (command === 'V') y = numbers[0]!
    else if (command === 'Q') [x, y] = numbers.slice(2) as [number, number]
    else if (command === 'h') x += numbers[0]!
    else [x, y] = [x + numbers[5]!, y + numbers[6]!]
    found.push({ x, y })
  }
  return found
}

const boxOf = (drawing: Drawing, state: string) => drawing.boxes.find((box) => box.state === state)!

/** Is the point on the border of this state's box? */
function touches(drawing: Drawing, state: string, { x, y }: { x: number; y: number }): boolean {
  const box = boxOf(drawing, state)
  const inside = x >= box.x && x <= box.x + BOX.width && y >= box.y && y <= box.y + BOX.height
  const onBorder = x === box.x || x === box.x + BOX.width || y === box.y || y === box.y + BOX.height
  return inside && onBorder
}

describe('the order of states', () => {
  test('follows the way of a connection', () => {
    expect(order(MACHINES.connection)).toEqual([
      'disconnected',
      'opening',
      'handshaking',
      'open',
      'closing',
    ])
  })

  test('of siblings the first named comes first', () => {
    expect(order(MACHINES.reconnect)).toEqual([
      'idle',
      'attempting',
      'established',
      'waiting',
      'exhausted',
      'halted',
    ])
  })

  test('has a state that nothing leads to at its end', () => {
    const table: Table = { initial: 'a', final: [], next: { lonely: { go: 'a' }, a: {} } }
    expect(order(table)).toEqual(['a', 'lonely'])
  })
})

describe.each(TABLES)('the drawing of %s', (_, table) => {
  const drawing = layout(table)

  test('is the same each time', () => {
    expect(layout(table)).toEqual(drawing)
  })

  test('has every state once, and no two boxes overlap', () => {
    expect(drawing.boxes.map((box) => box.state).sort()).toEqual(Object.keys(table.next).sort())
    const tops = drawing.boxes.map((box) => box.y)
    for (const [i, y] of tops.entries())
      if (i > 0) expect(y - tops[i - 1]!).toBeGreaterThan(BOX.height)
  })

  test('has every transition, under the events that cause it', () => {
    const drawn = drawing.arrows.flatMap(({ from, to, events }) =>
      events.map((event) => `${from} ${event} ${to}`),
    )
    const all = Object.entries(table.next).flatMap(([from, next]) =>
      Object.entries(next).map(([event, to]) => `${from} ${event} ${to}`),
    )
    expect(drawn.sort()).toEqual(all.sort())
  })

  test('has arrows that begin and end at their states, and cross no other box', () => {
    for (const { from, to, path } of drawing.arrows) {
      const way = points(path)
      expect(touches(drawing, from, way[0]!)).toBe(true)
      expect(touches(drawing, to, way.at(-1)!)).toBe(true)
      for (const { x, y } of way) {
        expect(x).toBeGreaterThanOrEqual(0)
        expect(x).toBeLessThanOrEqual(drawing.width)
        expect(y).toBeGreaterThanOrEqual(0)
        expect(y).toBeLessThanOrEqual(drawing.height)
      }
      const strangers = drawing.boxes.filter((box) => ![from, to].includes(box.state))
      for (const box of strangers)
        expect(way.some((at) => touches(drawing, box.state, at))).toBe(false)
    }
  })

  test('has lanes of which each leads to one state', () => {
    const laneOf = ({ path }: Arrow): number | undefined => points(path)[2]?.x
    const lanes = new Map<number, string>()
    for (const arrow of drawing.arrows) {
      const lane = laneOf(arrow)
      if (lane === undefined || arrow.from === arrow.to) continue
      expect(lanes.get(lane) ?? arrow.to).toBe(arrow.to)
      lanes.set(lane, arrow.to)
    }
  })
})

describe('the way from one state to another', () => {
  test('is the shortest', () => {
    expect(way(MACHINES.connection, 'disconnected', 'open')).toEqual([
      'disconnected',
      'opening',
      'handshaking',
      'open',
    ])
    expect(way(MACHINES.connection, 'open', 'disconnected')).toEqual(['open', 'disconnected'])
  })

  test('is nothing where there is none', () => {
    expect(way(MACHINES.delivery, 'accepted', 'queued')).toEqual([])
  })
})
