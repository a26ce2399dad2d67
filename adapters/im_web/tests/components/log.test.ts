// @vitest-environment happy-dom
import { reactive } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { fromRecord, type Entry } from '../../src/components/chat/timeline'
import { offsetsOf, rangeOf, rowAt } from '../../src/components/chat/windowing'
import MessageLog from '../../src/components/MessageLog.vue'
import { Mounted, settled } from './mount'

function entries(from: number, to: number, content = 'hello'): Entry[] {
  const made: Entry[] = []
  for (let msgId = from; msgId < to; msgId++) {
    const senderId = msgId % 3 === 0 ? 1 : 2
    const known = { msgId, senderId, receiverId: null, messageType: 'text', messageStatus: 3 }
    made.push(
      fromRecord(
        { ...known, content: `${content} ${msgId}`, sendTime: `${1e12 + msgId * 1e3}` },
        1,
      ),
    )
  }
  return made
}

let shown: Mounted | undefined
afterEach(() => {
  shown?.unmount()
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** happy-dom lays nothing out: rows get a height, the view too. */
function layOut(rowHeight: number, viewHeight: number): void {
  vi.spyOn(Element.prototype, 'getBoundingClientRect').mockImplementation(
    () => ({ height: rowHeight }) as DOMRect,
  )
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(viewHeight)
  vi.spyOn(HTMLElement.prototype, 'scrollHeight', 'get').mockImplementation(function (
    this: Element,
  ) {
    const spaces = [...this.querySelectorAll<HTMLElement>('.im-log__space')]
    const space = spaces.reduce((sum, one) => sum + parseFloat(one.style.height), 0)
    return space + this.querySelectorAll('.im-row').length * rowHeight
  })
}

async function show(props: Record<string, unknown>) {
  const given = reactive({
    entries: [] as Entry[],
    older: 'none',
    divider: null,
    name: 'Mira',
    unread: 0,
    ...props,
  })
  shown = new Mounted(MessageLog, given as Record<string, unknown>)
  await settled()
  return { given, log: shown.get('log') }
}

/** Where a message is in view, px from the top, with rows 40 px high. */
function placeOf(id: number): number {
  const log = shown!.get('log')
  const space = parseFloat(log.querySelector<HTMLElement>('.im-log__space')!.style.height)
  expect(numbers()).toContain(id)
  return space + numbers().indexOf(id) * 40 - log.scrollTop
}

const first = () => shown!.all('message')[0]!
const numbers = () => shown!.all('message').map((one) => Number(one.dataset['msgId']))

describe('a window over rows', () => {
  it('finds the row at a place', () => {
    const offsets = offsetsOf([10, 20, 30], 3)
    expect([...offsets]).toEqual([0, 10, 30, 60])
    expect([-5, 0, 9, 10, 29, 30, 999].map((place) => rowAt(offsets, place))).toEqual([
      0, 0, 0, 1, 1, 2, 2,
    ])
  })

  it('takes what is in view and around it', () => {
    const offsets = offsetsOf(Array<number>(1000).fill(10), 1000)
    expect(rangeOf(offsets, 5000, 100, 50)).toEqual({ start: 495, end: 516 })
    expect(rangeOf(offsets, 0, 100, 50)).toEqual({ start: 0, end: 16 })
    expect(rangeOf(offsetsOf([], 0), 0, 100, 50)).toEqual({ start: 0, end: 0 })
  })
})

describe('the log', () => {
  it('has only some of 10,000 messages in the page, and the newest of them', async () => {
    layOut(40, 600)
    const { log } = await show({ entries: entries(0, 10_000) })
    expect(numbers().length).toBeLessThan(100)
    expect(numbers().at(-1)).toBe(9_999)
    expect(log.scrollTop + 600).toBe(log.scrollHeight)
  })

  it('keeps in view what was in view when older messages come', async () => {
    vi.useFakeTimers()
    layOut(40, 600)
    const onOlder = vi.fn()
    const { given, log } = await show({ entries: entries(1000, 1100), older: 'some', onOlder })
    log.scrollTop = 1000
    log.dispatchEvent(new Event('scroll'))
    await settled()
    const before = placeOf(1030)
    onOlder.mockClear()
    given.entries = [...entries(900, 1000, 'x'.repeat(600)), ...given.entries]
    await settled()
    expect(placeOf(1030)).toBeCloseTo(before, 0)
    expect(onOlder).not.toHaveBeenCalled()
    // a gesture goes on: the place is set only when it has ended
    expect(log.scrollTop).toBe(1000)
    vi.advanceTimersByTime(200)
    await settled()
    expect(placeOf(1030)).toBeCloseTo(before, 0)
    expect(log.scrollTop).toBeGreaterThan(1000)
  })

  it('asks for older messages near the beginning, and not while it waits', async () => {
    layOut(40, 600)
    const onOlder = vi.fn()
    const { given, log } = await show({ entries: entries(0, 200), older: 'some', onOlder })
    expect(onOlder).not.toHaveBeenCalled()
    given.older = 'loading'
    await settled()
    log.scrollTop = 100
    log.dispatchEvent(new Event('scroll'))
    await settled()
    expect(onOlder).not.toHaveBeenCalled()
    given.older = 'some'
    await settled()
    expect(onOlder).toHaveBeenCalled()
  })

  it('sticks to the end when messages come, but not once the user has scrolled up', async () => {
    layOut(40, 600)
    const { given, log } = await show({ entries: entries(0, 100) })
    given.entries = entries(0, 101)
    await settled()
    expect(log.scrollTop + 600).toBe(log.scrollHeight)
    expect(log.getAttribute('aria-live')).toBe('polite')
    // the first small step away from the end is not taken back
    log.scrollTop -= 20
    log.dispatchEvent(new Event('scroll'))
    given.older = 'failed'
    await settled()
    expect(log.scrollTop + 620).toBe(log.scrollHeight)
    given.entries = entries(0, 102)
    await settled()
    expect(log.scrollTop + 600).toBe(log.scrollHeight)
    log.scrollTop = 1000
    log.dispatchEvent(new Event('scroll'))
    await settled()
    const before = placeOf(30)
    given.entries = entries(0, 105)
    await settled()
    expect(placeOf(30)).toBeCloseTo(before, 0)
    expect(log.getAttribute('aria-live')).toBe('off')
    await shown!.click('jump-newest')
    expect(log.scrollTop + 600).toBe(log.scrollHeight)
    expect(shown!.maybe('jump-newest')).toBeNull()
  })

  it('begins where the new messages begin', async () => {
    layOut(40, 600)
    const list = entries(0, 300)
    await show({ entries: list, divider: list[200]!.id, unread: 100 })
    expect(shown!.all('divider-new')).toHaveLength(1)
    expect(shown!.get('divider-new').nextElementSibling!.getAttribute('data-msg-id')).toBe('200')
    expect(placeOf(200)).toBeCloseTo(72, 0)
    expect(shown!.get('jump-newest').textContent).toContain('100')
  })

  it('separates days', async () => {
    const list = entries(0, 3)
    const day = 86_400_000
    const dated = list.map((entry, i) => ({ ...entry, time: 1e12 + (i === 2 ? day : i) }))
    await show({ entries: dated })
    expect(shown!.all('day-separator')).toHaveLength(2)
    expect(first().parentElement!.querySelector('[data-testid=day-separator]')).not.toBeNull()
  })
})
