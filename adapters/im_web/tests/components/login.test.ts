// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from 'vitest'
import LogInForm from '../../src/page/LogInForm.vue'
import { keptLogIn, keepLogIn, logInOfHash, userOfToken, wsUrlOf } from '../../src/page/site'
import { Mounted, settled } from './mount'

const jwt = (claims: object) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'HS256' })}.${part(claims)}.c2ln`
}

let shown: Mounted | undefined
afterEach(() => {
  shown?.unmount()
  shown = undefined
  sessionStorage.clear()
  location.hash = ''
})

describe('a token', () => {
  it('tells its user, if it can be read', () => {
    expect(userOfToken(jwt({ sub: '17' }))).toBe(17)
    expect(userOfToken(jwt({ sub: 17 }))).toBe(17)
    expect(userOfToken(jwt({ sub: '9007199254740993' }))).toBe('9007199254740993')
    expect(userOfToken(jwt({ sub: 'müller' }))).toBe('müller')
    expect(userOfToken(jwt({ sub: '\u00ff?>~\u00ff?>~?>?>' }))).toBe('\u00ff?>~\u00ff?>~?>?>')
    expect(userOfToken('dev:bravo')).toBe('bravo')
    for (const bad of ['t0', 'a.b', 'a.!!!.c', jwt({}), jwt({ sub: {} })]) {
      expect(userOfToken(bad), bad).toBeNull()
    }
  })

  it('behind the # of the address is taken, and taken away', () => {
    location.hash = '#token=secret&user=7'
    expect(keptLogIn()).toEqual({ user: 7, token: 'secret' })
    expect(location.href).not.toContain('secret')
    expect(keptLogIn()).toEqual({ user: 7, token: 'secret' })
    keepLogIn(null)
    expect(keptLogIn()).toBeNull()
  })

  it('without a user is for the user that it tells', () => {
    expect(logInOfHash('#token=dev%3A5')).toEqual({ user: 5, token: 'dev:5' })
    expect(logInOfHash('#token=opaque')).toBeNull()
    expect(logInOfHash('#user=5')).toBeNull()
  })
})

it('finds the WebSocket on the host of the page', () => {
  const site = { path: '/ws', dev: false, users: [] }
  expect(wsUrlOf(site, { protocol: 'https:', host: 'a.org' })).toBe('wss://a.org/ws')
  expect(wsUrlOf(site, { protocol: 'http:', host: 'a.org:8080' })).toBe('ws://a.org:8080/ws')
})

describe('the log-in', () => {
  const users = [{ id: 2, name: 'Mira' }]

  function form(dev: boolean) {
    const onLogIn = vi.fn()
    shown = new Mounted(LogInForm, { site: { path: '/ws', dev, users }, onLogIn })
    const submit = async () => {
      shown!.root.querySelector('form')!.dispatchEvent(new Event('submit'))
      await settled()
    }
    return { shown, onLogIn, submit }
  }

  it('on a server for development is a pick', async () => {
    const { shown, onLogIn } = form(true)
    await shown.click('login-user-2')
    expect(onLogIn.mock.calls).toEqual([[{ user: 2, token: 'dev:2' }]])
  })

  it('takes the user from a token', async () => {
    const { shown, onLogIn, submit } = form(false)
    const token = jwt({ sub: '17' })
    await shown.type('login-token', ` ${token}\n`)
    expect(shown.maybe('login-user-id')).toBeNull()
    await submit()
    expect(onLogIn.mock.calls).toEqual([[{ user: 17, token }]])
  })

  it('asks for the user when the token does not tell', async () => {
    const { shown, onLogIn, submit } = form(false)
    await shown.type('login-token', 'opaque')
    await submit()
    expect(onLogIn).not.toHaveBeenCalled()
    await shown.type('login-user-id', '5')
    await submit()
    expect(onLogIn.mock.calls).toEqual([[{ user: 5, token: 'opaque' }]])
  })
})
