// @vitest-environment happy-dom
import { afterEach, expect, test } from 'vitest'
import { createApp, h, nextTick, ref, type App as VueApp, type Component } from 'vue'
import App from '../../src/lab/App.vue'
import { EventLog, filtered, KINDS } from '../../src/lab/log'
import StateDiagram from '../../src/lab/StateDiagram.vue'
import { MACHINES } from '../../src/generated/tables'
import { STATE_TEXTS } from '../../src/generated/texts'
import { FakeLab } from './fake-lab'

let app: VueApp | null = null

afterEach(() => {
  app?.unmount()
  app = null
})

function mount(component: Component, props: Record<string, unknown> = {}): HTMLElement {
  const root = document.createElement('div')
  app = createApp(component, props)
  app.mount(root)
  return root
}

const button = (root: ParentNode, text: string): HTMLButtonElement =>
  [...root.querySelectorAll('button')].find((one) => one.textContent!.trim().startsWith(text))!

test('the page shows both windows, and what is said in one arrives in the other', async () => {
  const fake = new FakeLab()
  const root = mount(App, { world: fake.world })
  await fake.time.pass(200)
  const [alice, bob] = root.querySelectorAll('.side')
  expect(alice!.querySelector('h2')!.textContent).toBe('Alice')
  const input = alice!.querySelector<HTMLInputElement>('.chat form input')!
  input.value = 'hello <b>Bob</b>'
  input.dispatchEvent(new Event('input'))
  alice!.querySelector('form')!.dispatchEvent(new Event('submit'))
  await fake.time.pass(1000)
  expect(bob!.querySelector('.chat li')!.textContent).toBe('hello <b>Bob</b>')
  expect(bob!.querySelector('.chat b')).toBeNull()
  expect(alice!.querySelector('.chat li.mine .hidden')!.textContent).toBe('the server has it')
  expect(root.querySelector('.faults .good dd')!.textContent).toBe('0')
})

test('buttons do what they say', async () => {
  const fake = new FakeLab()
  const root = mount(App, { world: fake.world })
  await fake.time.pass(200)
  const bob = root.querySelector('.side-b')!
  button(bob, 'half').click()
  button(bob, 'expire').click()
  button(root, 'kill').click()
  await fake.time.pass(200)
  expect(fake.calls).toEqual([
    ['cut', 'b', 'half'],
    ['expire', 'b'],
    ['server', 'kill'],
  ])
  expect(root.querySelector('.server-killed')!.textContent).toContain('server killed')
  expect(button(root, 'kill').disabled).toBe(true)
  expect(button(root, 'start').disabled).toBe(false)
})

test('a lab that does not answer is told of', async () => {
  const fake = new FakeLab()
  fake.api.info = () => Promise.reject(new Error('no key'))
  const root = mount(App, { world: fake.world })
  await fake.time.pass(0)
  expect(root.querySelector('[role=alert]')!.textContent).toContain('no key')
})

test('a diagram lights its state, flashes the way there, and tells it in words', async () => {
  const props = {
    name: 'connection',
    table: MACHINES.connection,
    about: '',
    meanings: STATE_TEXTS.connection!,
  }
  const state = ref('disconnected')
  const root = mount({ render: () => h(StateDiagram, { ...props, state: state.value }) })
  const lit = (): string[] =>
    [...root.querySelectorAll('.state.now text')].map((one) => one.textContent!)
  expect(lit()).toEqual(['disconnected'])
  expect(root.querySelectorAll('.gone')).toHaveLength(1) // the arrow head's definition
  state.value = 'handshaking'
  await nextTick()
  await nextTick()
  expect(lit()).toEqual(['handshaking'])
  expect(root.querySelectorAll('path.gone')).toHaveLength(2)
  expect(root.querySelector('.state.now')!.getAttribute('aria-label')).toBe(
    'handshaking, the present state. Bytes flow; the WebSocket upgrade was sent and is not yet ' +
      'answered. handshake accepted leads to open, transport ended leads to disconnected',
  )
  expect(root.querySelector('figcaption')!.textContent).toContain('Bytes flow')
})

test('a state that is pointed at, or reached by key, shows what leads away from it', async () => {
  const props = {
    name: 'reconnect',
    table: MACHINES.reconnect,
    about: '',
    meanings: STATE_TEXTS.reconnect!,
    state: 'idle',
  }
  const root = mount(StateDiagram, props)
  document.body.append(root)
  const exits = (): string[] =>
    [...root.querySelectorAll('.exits span')].map((one) => one.textContent!.trim())
  const states = root.querySelectorAll('.state')
  expect(exits()).toEqual([])
  states[3]!.dispatchEvent(new Event('mouseenter'))
  await nextTick()
  expect(exits()).toEqual(['retry_due → attempting', 'disconnect_requested → idle'])
  root.querySelector('figure')!.dispatchEvent(new Event('mouseleave'))
  await nextTick()
  expect(exits()).toEqual([])
  const down = new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true })
  root.querySelector('svg')!.dispatchEvent(down)
  await nextTick()
  expect(root.querySelector('.exits b')!.textContent).toBe('attempting')
  expect(states[1]!.getAttribute('tabindex')).toBe('0')
  root.remove()
})

test('the log is filtered by kind and by words', () => {
  const log = new EventLog(() => 5)
  log.add('link', 'a', 'authenticated: logged in')
  log.add('server', null, 'the server is killed')
  log.add('heartbeat', 'b', 'a probe went out')
  const found = (kinds: Iterable<(typeof KINDS)[number]>, search: string): number[] =>
    filtered(log.entries.value, new Set(kinds), search).map((entry) => entry.n)
  expect(found(KINDS, '')).toEqual([3, 2, 1])
  expect(found(['link', 'server'], '')).toEqual([2, 1])
  expect(found(KINDS, 'KILLED the')).toEqual([2])
  expect(found(KINDS, 'heartbeat probe')).toEqual([3])
  expect(found(KINDS, 'nothing')).toEqual([])
})
