import { IDBFactory } from 'fake-indexeddb'
import { expect, test } from 'vitest'
import type { Environment } from '../../src/types'
import { listen, settle, until, World } from '../kit/world'

const NAME = 'im-client ws://localhost:8080/ws 123'
type Disk = Environment['indexedDB']

/** Open a database as anybody may, and do something with it. */
async function tamper(
  world: World,
  version: number,
  change: (db: IDBDatabase) => void,
): Promise<void> {
  const request = world.disk.open(NAME, version)
  await new Promise<void>((resolve) => {
    request.onupgradeneeded = () => version > 1 || change(request.result as unknown as IDBDatabase)
    request.onsuccess = () => resolve()
  })
  const db = request.result as unknown as IDBDatabase
  if (version === 1) change(db)
  db.close()
}

/** A client that can't use its storage works all the same, and says so. */
async function worksWithout(world: World, environment: Partial<Environment>): Promise<string> {
  const client = world.tab().client({}, environment)
  const heard = listen(client, 'notice')
  let done = false
  void client.connect().then(() => (done = true))
  await world.clock.advance(6000)
  expect(done).toBe(true)
  const notice = heard
    .map(([, event]) => event as { type: string; reason: string })
    .find(({ type }) => type === 'StorageUnavailable')
  expect((await client.sendMessage({ toUserId: 456, content: 'works' })).status).toBe('accepted')
  await client.close()
  return notice?.reason ?? expect.unreachable('no notice')
}

test('without IndexedDB nothing is kept, and that is said', async () => {
  const world = new World()
  expect(await worksWithout(world, { indexedDB: undefined })).toContain('no IndexedDB')
})

test('a browser that never answers is given up', async () => {
  const world = new World()
  const never = { open: () => ({}) } as unknown as Disk
  expect(await worksWithout(world, { indexedDB: never })).toContain('did not answer in time')
})

test('a browser that forbids it is told by its own word', async () => {
  const world = new World()
  const forbids = {
    open: () => {
      throw new DOMException('The operation is insecure.', 'SecurityError')
    },
  } as unknown as Disk
  expect(await worksWithout(world, { indexedDB: forbids })).toContain('insecure')
})

test('a database of a later version is left alone', async () => {
  const world = new World()
  await tamper(world, 2, () => {})
  expect(await worksWithout(world, {})).toBe('VersionError')
})

test('what is damaged is not used', async () => {
  const world = new World()
  const first = world.tab().client()
  await first.connect()
  await first.close()
  await tamper(world, 1, (db) => {
    const store = db.transaction('outgoing', 'readwrite').objectStore('outgoing')
    store.put({ type: 'OutgoingRecord', ref: 1, content: 5 })
  })
  expect(await worksWithout(world, {})).toBe('what is stored is damaged')
})

test('what can not be written is refused with JOURNAL_FAILED, and works again later', async () => {
  const world = new World()
  let full = false
  const open = (name: string, version: number): IDBOpenDBRequest => {
    const request = world.disk.open(name, version) as unknown as IDBOpenDBRequest
    request.addEventListener('success', () => {
      const db = request.result
      const real = db.transaction.bind(db)
      Object.assign(db, {
        transaction: (...args: Parameters<IDBDatabase['transaction']>): IDBTransaction => {
          if (full) throw new DOMException('no room', 'QuotaExceededError')
          return real(...args)
        },
      })
    })
    return request
  }
  const client = world.tab().client({}, { indexedDB: { open } as unknown as Disk })
  const heard = listen(client, 'error')
  await client.connect()
  full = true
  const failed = client.sendMessage({ toUserId: 456, content: 'lost' }).catch((error) => error)
  await settle()
  expect(await failed).toMatchObject({ code: 'JOURNAL_FAILED', sent: { content: 'lost' } })
  expect(heard[0]?.[1]).toMatchObject({ code: 'JOURNAL_FAILED', terminal: false })
  expect(client.getConnectionState().status).toBe('authenticated')
  full = false
  await world.clock.advance(2000)
  expect((await client.sendMessage({ toUserId: 456, content: 'kept' })).status).toBe('accepted')
})

test('a message is in the storage before the server has it', async () => {
  const world = new World()
  const client = world.tab().client()
  await client.connect()
  let stored: unknown[] = []
  world.server.answers['CHAT_SEND_TO_ONE_REQUEST'] = (link, message) => {
    const request = world.disk.open(NAME, 1)
    request.onsuccess = () => {
      const all = request.result.transaction('outgoing').objectStore('outgoing').getAll()
      all.onsuccess = () => {
        stored = all.result
        world.server.accept(link, message)
      }
    }
  }
  await client.sendMessage({ toUserId: 456, content: 'safe' })
  expect(stored).toMatchObject([{ content: 'safe', toUser: 456 }])
})

test('with storage memory nothing is written', async () => {
  const world = new World()
  const client = world.tab().client({ storage: 'memory' })
  await client.connect()
  await client.sendMessage({ toUserId: 456, content: 'light' })
  expect(await world.disk.databases()).toEqual([])
})

test('users, servers and devices have a database each', async () => {
  const world = new World()
  world.tab().client({ userId: 1 })
  world.tab().client({ userId: 'bravo' })
  world.tab().client({ userId: 1, deviceId: 'phone' })
  await settle(300)
  expect((await world.disk.databases()).map(({ name }) => name).sort()).toEqual([
    'im-client ws://localhost:8080/ws 1',
    'im-client ws://localhost:8080/ws 1 phone',
    'im-client ws://localhost:8080/ws bravo',
  ])
})

test('no more pairs are kept than are wanted', async () => {
  const world = new World({ plain: true })
  const client = world.tab().client({ knownPairs: 20 } as object)
  let count = 0
  client.setCallbacks({ messageReceived: () => void count++ })
  await client.connect()
  for (let n = 1; n <= 600; n++) {
    world.server.message(123, { content: `m${n}`, fromUser: 9, msgId: n })
    if (n % 100 === 0) await settle(5)
  }
  await until(() => count === 600)
  await settle(300)
  const request = world.disk.open(NAME, 1)
  const pairs = await new Promise<number>((resolve) => {
    request.onsuccess = () => {
      const counted = request.result.transaction('pairs').objectStore('pairs').count()
      counted.onsuccess = () => resolve(counted.result)
    }
  })
  expect(pairs).toBeGreaterThanOrEqual(20)
  expect(pairs).toBeLessThanOrEqual(20 + 256)
  await client.close()
  // it still knows the newest of them
  const next = world.tab().client()
  const got: string[] = []
  next.setCallbacks({ messageReceived: ({ content }) => void got.push(content) })
  await next.connect()
  world.server.message(123, { content: 'm600', fromUser: 9, msgId: 600 })
  world.server.message(123, { content: 'new', fromUser: 9, msgId: 9999 })
  await until(() => got.length > 0)
  expect(got).toEqual(['new'])
})

test('a new disk is a new installation', async () => {
  const world = new World()
  const tab = world.tab()
  const first = tab.client()
  await first.connect()
  const { deviceId } = first
  await first.close()
  const again = world.tab().client()
  await again.connect()
  expect(again.deviceId).toBe(deviceId)
  await again.close()
  world.disk = new IDBFactory()
  const other = world.tab().client()
  await other.connect()
  expect(other.deviceId).not.toBe(deviceId)
})
