/** Code that was written for the original module does here what it says. */

import ts from 'typescript'
import { afterEach, expect, test, vi } from 'vitest'
import { IMClient } from '../../src/client'
import type { IMClientConfig } from '../../src/types'
import { FakeServer } from '../kit/fake-server'
import { settle, until } from '../kit/world'
import { blocks, filled, kindOf } from './blocks'

const programs = blocks().filter((block) => kindOf(block) === 'program')
const ran = new Set<string>()

/** The program in which this stands. */
function block(text: string): string {
  const found = programs.filter(({ code }) => code.includes(text))
  const [one] = found
  if (!one || found.length > 1) throw new Error(`${found.length} blocks have ${text}`)
  ran.add(one.code)
  return one.code
}

const CONFIG: IMClientConfig = { wsUrl: 'ws://localhost:8080/ws', token: 't', userId: 123 }

/** Run blocks, one after the other, with what their reader is to give; returns what they made. */
async function run(
  code: string[],
  given: Record<string, unknown> = {},
): Promise<Record<string, unknown> & { imClient: IMClient; printed: unknown[][] }> {
  const printed: unknown[][] = []
  const print = (...args: unknown[]): void => void printed.push(args)
  const scope = { IMClient, console: { log: print, error: print }, others: CONFIG, ...given }
  const source = filled(code.join('\n')).replace(/^import .*$/gm, '')
  const names = [...source.matchAll(/^const (\w+)/gm)].map((match) => match[1] as string)
  const { outputText } = ts.transpileModule(
    `async function program() { ${source}\nreturn { ${names.join(', ')} } }`,
    { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } },
  )
  const make = new Function(...Object.keys(scope), `${outputText}\nreturn program()`)
  const made = (await make(...Object.values(scope))) as Record<string, unknown>
  await settle()
  return { imClient: given.imClient as IMClient, ...made, printed }
}

/** What a page has of itself. */
function page(server = new FakeServer()): FakeServer {
  vi.stubGlobal('WebSocket', server.WebSocket)
  return server
}

const clients: IMClient[] = []

/** A client that is logged in. */
async function connected(server: FakeServer): Promise<IMClient> {
  const client = new IMClient({ ...CONFIG, environment: { fetch: server.fetch as typeof fetch } })
  clients.push(client)
  await client.connect()
  return client
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  vi.unstubAllGlobals()
})

test('the quick start connects, is told of it, sends, and disconnects', async () => {
  const server = page()
  const { imClient, printed } = await run([
    block("token: 'your-auth-token'"),
    block("console.log('连接成功')"),
    block("content: 'Hello, World!'"),
  ])
  expect(server.link().of('AUTH_REQUEST')).toMatchObject([
    { accessToken: 'your-auth-token', userId: 123 },
  ])
  expect(server.accepted).toMatchObject([
    { toUser: 456, content: 'Hello, World!', messageType: 'text', fromUser: 123 },
  ])
  expect(server.link().socket.closedWith).toEqual([1000, ''])
  expect(printed).toEqual([['连接成功'], ['认证成功'], ['连接断开']])
  expect(imClient.getConnectionState().status).toBe('disconnected')
  await imClient.close()
})

test('the callbacks of the quick start get messages, and errors', async () => {
  const server = page()
  const imClient = await connected(server)
  const { printed } = await run([block("console.log('连接成功')")], { imClient })
  server.message(123, { content: 'hi', fromUser: 456, msgId: 7 })
  await settle()
  expect(printed).toMatchObject([['收到消息:', { content: 'hi', fromUser: 456, msgId: 7 }]])
  server.link().close(4004, 'elsewhere')
  await settle()
  expect(printed.slice(1)).toMatchObject([['连接断开'], ['连接错误:', { code: 'CONNECTION_LOST' }]])
})

test('the heartbeat of the example is what a client does', async () => {
  page()
  const { config } = await run([block('心跳间隔30秒')])
  const client = new IMClient(config as IMClientConfig)
  clients.push(client)
  await client.connect()
  const due = client.inspect().deadlines.find(({ name }) => name === 'HEARTBEAT_DUE')
  expect(due?.in).toBeGreaterThan(29_000)
  expect(due?.in).toBeLessThanOrEqual(30_000)
})

test('the reconnecting of the example gives up after five attempts', async () => {
  const server = page()
  server.refuse = true
  const { config } = await run([block('最大重连次数')])
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  try {
    const client = new IMClient(config as IMClientConfig)
    clients.push(client)
    let failed: unknown
    client.connect({ retry: true, timeout: null }).catch((error) => (failed = error))
    for (let second = 0; second < 60 && !failed; second++) {
      await settle(5)
      vi.advanceTimersByTime(1000)
    }
    expect(failed).toMatchObject({ code: 'RECONNECT_FAILED', terminal: true })
  } finally {
    vi.useRealTimers()
  }
})

test('the codes of the error example are those of the errors', async () => {
  const server = page()
  server.refuse = true
  const code = block("case 'CONNECTION_FAILED':")
  const seen: string[] = []
  const marked = code.replace(/case '(\w+)':/g, "case '$1': seen.push('$1')")
  const imClient = new IMClient(CONFIG)
  clients.push(imClient)
  await run([marked], { imClient, seen })
  await imClient.connect().catch(() => {})
  await settle()
  server.refuse = false
  server.answers['AUTH_REQUEST'] = (link) => link.push('AUTH_RESPONSE', { code: 403 })
  await imClient.connect().catch(() => {})
  await settle()
  expect(seen).toEqual(['CONNECTION_FAILED', 'AUTH_FAILED'])
  // MESSAGE_SEND_FAILED goes to messageFailed, and to who waits in sendMessage()
  delete server.answers['AUTH_REQUEST']
  await imClient.connect()
  server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, { msgId }) =>
    link.push('CHAT_SEND_RESPONSE', { msgId, code: 403 })
  await expect(imClient.sendMessage({ toUserId: 456, content: 'x' })).rejects.toMatchObject({
    code: 'MESSAGE_SEND_FAILED',
  })
})

test('the first best practice makes a client, connects it, and disconnects it', async () => {
  const server = page()
  const { imClient } = await run([block('在应用启动时初始化IM客户端')], { config: CONFIG })
  expect(server.links).toHaveLength(1)
  expect(imClient.getConnectionState().status).toBe('disconnected')
  await imClient.close()
})

test('the global error callback prints, and shows', async () => {
  const server = page()
  const imClient = await connected(server)
  const shown: string[] = []
  const ElMessage = { error: (text: string) => void shown.push(text) }
  const { printed } = await run([block('设置全局错误处理')], { imClient, ElMessage })
  server.link().drop()
  await settle()
  expect(shown).toEqual(['连接异常，请检查网络'])
  expect(printed).toMatchObject([['IM错误:', { code: 'CONNECTION_LOST' }]])
})

test('a received message is shown, heard and counted', async () => {
  const server = page()
  const imClient = await connected(server)
  const calls: unknown[] = []
  await run([block('更新UI显示新消息')], {
    imClient,
    addMessageToChat: (message: { content: string }) => void calls.push(message.content),
    playNotificationSound: () => void calls.push('sound'),
    updateUnreadCount: () => void calls.push('count'),
  })
  server.message(123, { content: 'hi', fromUser: 456, msgId: 7 })
  await settle()
  expect(calls).toEqual(['hi', 'sound', 'count'])
})

test('a session is made, and is in the cache', async () => {
  const server = page()
  const imClient = await connected(server)
  const given = { imClient, bookId: 1, buyerId: 123, sellerId: 456, sessionId: 1000 }
  const { session, cachedSession } = await run([block('获取或创建会话')], given)
  expect(session).toMatchObject({
    id: 1000,
    bookId: 1,
    buyerId: 123,
    sellerId: 456,
    sessionStatus: 1,
  })
  expect(cachedSession).toEqual(session)
})

test('what the debugging tips say can be done', async () => {
  const server = page()
  const imClient = await connected(server)
  const ticks: (() => void)[] = []
  const { printed } = await run(
    [
      block("NODE_ENV === 'development'"),
      block('定期检查连接状态'),
      block("content: 'test message'"),
    ],
    { imClient, setInterval: (tick: () => void) => void ticks.push(tick) },
  )
  ticks[0]?.()
  expect(printed).toMatchObject([['连接状态:', { status: 'authenticated' }]])
  expect(server.accepted).toMatchObject([{ toUser: 123, content: 'test message' }])
})

test('every program of the README was run', async () => {
  await until(() => true)
  expect(programs.filter(({ code }) => !ran.has(code)).map(({ code }) => code)).toEqual([])
})
