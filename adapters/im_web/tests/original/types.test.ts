/** Code that was written for the original module has the right types here. */

import { fileURLToPath } from 'node:url'
import { createVueLanguagePlugin, createParsedCommandLineByJson } from '@vue/language-core'
import { proxyCreateProgram } from '@volar/typescript/lib/node/proxyCreateProgram.js'
import ts from 'typescript'
import { beforeAll, expect, test } from 'vitest'
import { blocks, filled, kindOf, type Block } from './blocks'

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replaceAll('\\', '/')
const NAMES = [
  ...['IMClientConfig', 'ConnectionState', 'ChatSendToOneRequest', 'ChatSendToOneMessage'],
  ...['ChatReceivedMessage', 'SessionVO', 'SessionGetRequest', 'SessionCreateRequest'],
  'IMEventCallbacks',
]

/** What the README leaves to its reader. */
const OTHERS = `
  import type { Ref } from 'vue'
  import type { IMClient } from '@/im/client/IMClient'
  import type { ChatReceivedMessage, IMClientConfig } from '@/im/types'
  declare global {
    const ref: <T>(value: T) => Ref<T>
    const ElMessage: { error(text: string): void }
    const others: IMClientConfig
    const bookId: number, buyerId: number, sellerId: number, sessionId: number
    function addMessageToChat(message: ChatReceivedMessage): void
    function playNotificationSound(): void
    function updateUnreadCount(): void
  }
`

/** A block as a module of its own. */
function moduleOf(block: Block): string {
  const { code } = block
  const kind = kindOf(block)
  if (kind === 'vue') return code
  const name = /^(?:interface|async)? ?(\w+)/.exec(code)?.[1] ?? ''
  const types = `import type { ${NAMES.filter((one) => kind !== 'type' || one !== name)} } from '@/im/types'\n`
  if (kind === 'type') {
    // what has the original's shape is taken for ours
    const ours = `Pick<import('@/im/types').${name}, keyof ${name}>`
    return `${types}${code}\nexport const taken = (one: ${name}): ${ours} => one\n`
  }
  const client = `import { IMClient } from '@/im/client/IMClient'\n`
  if (kind === 'signature') {
    if (name === 'constructor') {
      const made = code.replace('constructor', 'new ').replace(')', '): IMClient')
      return `${client}${types}interface Original { ${made} }\nexport const made: Original = IMClient\n`
    }
    // it takes all that the original took, and gives what that gave, where that gave something
    return `${client}${types}
      interface Original { ${code.replace('async ', '')} }
      type Fits<O, R> = Awaited<O> extends void ? true : Awaited<R> extends Awaited<O> ? true : never
      type Ours = IMClient['${name}']
      type Theirs = Original['${name}']
      export const takes: Parameters<Ours> = null! as Parameters<Theirs>
      export const gives: Fits<ReturnType<Theirs>, ReturnType<Ours>> = true
    `
  }
  const imported = code.includes('import ') ? '' : `${client}${types}`
  const given =
    (/\bconfig\b/.test(code) && !code.includes('const config')
      ? 'declare const config: IMClientConfig\n'
      : '') +
    (/\bimClient\b/.test(code) && !code.includes('const imClient')
      ? 'declare const imClient: IMClient\n'
      : '')
  return `${imported}${given}${filled(code)}\nexport {}\n`
}

const all = blocks()
const files = new Map<string, string>([[`${ROOT}tests/original/others.ts`, OTHERS]])
const pathOf = (n: number): string =>
  `${ROOT}tests/original/block-${n}.${all[n]?.language === 'vue' ? 'vue' : 'ts'}`
let faults: readonly ts.Diagnostic[] = []

beforeAll(() => {
  all.forEach((block, n) => files.set(pathOf(n), moduleOf(block)))
  faults = check(files)
}, 120_000)

function check(given: Map<string, string>): readonly ts.Diagnostic[] {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  Object.assign(options, { noUnusedLocals: false, noUnusedParameters: false, noEmit: true })
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists, getSourceFile } = host
  host.readFile = (name) => given.get(name) ?? readFile(name)
  host.fileExists = (name) => given.has(name) || fileExists(name)
  host.getSourceFile = (name, ...more) => {
    const text = given.get(name)
    return text === undefined
      ? getSourceFile(name, ...more)
      : ts.createSourceFile(name, text, more[0], true, ts.ScriptKind.TS)
  }
  const { vueOptions } = createParsedCommandLineByJson(ts, ts.sys, ROOT, {})
  const createProgram = proxyCreateProgram(ts, ts.createProgram, () => [
    createVueLanguagePlugin(ts, options, vueOptions, (id) => id),
  ])
  Object.assign(options, { allowArbitraryExtensions: true, allowNonTsExtensions: true })
  const program = createProgram({ rootNames: [...given.keys()], options, host })
  return [...given.keys()].flatMap((name) => {
    const file = program.getSourceFile(name)
    if (!file) throw new Error(`${name} is not in the program`)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  })
}

const told = (fault: ts.Diagnostic): string =>
  `${fault.file?.fileName.replace(ROOT, '')}: ${ts.flattenDiagnosticMessageText(fault.messageText, '\n')}`

test('the README has all of its blocks', () => {
  const kinds = all.map(kindOf)
  const count = (kind: string): number => kinds.filter((one) => one === kind).length
  expect([all.length, count('program'), count('signature'), count('type'), count('vue')]).toEqual([
    33, 13, 12, 5, 3,
  ])
})

test('what stands in no block is right', () => {
  expect(faults.filter(({ file }) => file?.fileName.endsWith('others.ts')).map(told)).toEqual([])
})

for (const [n, block] of all.entries()) {
  test(`block ${n} (${kindOf(block)}) has the right types: ${block.under}`, () => {
    expect(faults.filter(({ file }) => file?.fileName === pathOf(n)).map(told)).toEqual([])
  })
}
