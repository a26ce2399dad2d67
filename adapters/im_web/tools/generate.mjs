// Writes src/generated/ from docs/protocol.json, which is made from the Python code.
//
// node tools/generate.mjs            write the files
// node tools/generate.mjs --check    write nothing; exit 1 and name what is stale

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const folder = join(here, '..', 'src', 'generated')
const protocol = JSON.parse(
  readFileSync(join(here, '..', '..', '..', 'docs', 'protocol.json'), 'utf8'),
)

const HEAD = `// Made from docs/protocol.json by \`node tools/generate.mjs\`. Never edited.\n`
/** Of transports that give bytes; a browser has none. */
const NOT_HERE = ['proxy', 'unixPath', 'headers']
/** What an application says; there, what has a default may be left out. */
const OF_AN_APPLICATION = ['Send', 'SessionCall', 'MessageHandled', 'SetTyping']
/** Ids by their type, which are numbers here: above 2^53-1 they break the rules. */
const NUMBERS = ['seq', 'oldest', 'after']

const PLAIN = {
  integer: 'number',
  number: 'number',
  string: 'string',
  boolean: 'boolean',
  any: 'unknown',
  id: 'Id',
  userId: 'UserId',
  bytes: 'string',
  error: 'IMError',
}

/** A value as TypeScript: single quotes, and keys without quotes where they need none. */
function literal(value) {
  if (typeof value === 'string') {
    const quote = value.includes("'") ? '"' : "'"
    const text = value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
    return quote + (quote === '"' ? text.replace(/"/g, '\\"') : text) + quote
  }
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (value === null || typeof value !== 'object') return String(value)
  const parts = Object.entries(value).map(([key, one]) => `${name(key)}: ${literal(one)}`)
  return parts.length ? `{ ${parts.join(', ')} }` : '{}'
}

const name = (key) => (/^([A-Za-z_]\w*|[1-9]\d*)$/.test(key) ? key : literal(key))

/** A constant, on one line if it fits and else with one line for each of its parts. */
function constant(called, value, type = '', as = '') {
  const head = `export const ${called}${type && `: ${type}`} = `
  const one = `${head}${literal(value)}${as}`
  if (one.length <= 100 || value === null || typeof value !== 'object') return one + '\n'
  const list = Array.isArray(value)
  const parts = list
    ? value.map((part) => `  ${literal(part)},`)
    : Object.entries(value).map(([key, part]) => `  ${name(key)}: ${literal(part)},`)
  return `${head}${list ? '[' : '{'}\n${parts.join('\n')}\n${list ? ']' : '}'}${as}\n`
}

function typeOf(shape) {
  let type
  if (shape.type === 'enum') type = shape.values.map(literal).join(' | ')
  else if (shape.type === 'array') {
    const of = typeOf(shape.items)
    type = of.includes(' ') && !/^\[.*\]$/.test(of) ? `(${of})[]` : `${of}[]`
  } else if (shape.type === 'pair') type = `[${shape.items.map(typeOf).join(', ')}]`
  else if (shape.type === 'map') type = `Record<string, ${typeOf(shape.values)}>`
  else if (shape.type === 'ref') type = shape.ref
  else if (shape.type === 'union') type = shape.of.map(typeOf).join(' | ')
  else type = shape.type === 'id' && NUMBERS.includes(shape.name) ? 'number' : PLAIN[shape.type]
  return shape.nullable ? `${type} | null` : type
}

/** A comment above what follows, `indent` spaces in. */
function comment(text, indent = '') {
  if (!text) return ''
  const ours = text.replace(/\b(None|True|False)\b/g, (word) => OURS[word])
  const lines = ours.split('\n').flatMap((line) => wrap(line, 94 - indent.length))
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`
}

const OURS = { None: 'null', True: 'true', False: 'false' }

function wrap(text, width) {
  const lines = ['']
  for (const word of text.replaceAll('*/', '* /').split(' ')) {
    const last = lines[lines.length - 1]
    if (last && last.length + word.length >= width) lines.push(word)
    else lines[lines.length - 1] = last ? `${last} ${word}` : word
  }
  return lines
}

function record(shape, { tagged = false, optional = false, without = [] } = {}) {
  const fields = shape.fields
    .filter((field) => !without.includes(field.name))
    .map((field) => {
      const mark = optional && 'default' in field ? '?' : ''
      return `${comment(field.doc, '  ')}  ${field.name}${mark}: ${typeOf(field)}\n`
    })
  const tag = tagged ? `  type: '${shape.name}'\n` : ''
  return `${comment(shape.doc)}export interface ${shape.name} {\n${tag}${fields.join('')}}\n`
}

function union(called, shapes, doc) {
  return `${comment(doc)}export type ${called} =\n${shapes.map((s) => `  | ${s.name}\n`).join('')}`
}

function words(called, values) {
  const one = `export type ${called} = ${values.map(literal).join(' | ')}`
  if (one.length <= 100) return one + '\n'
  return `export type ${called} =\n${values.map((value) => `  | ${literal(value)}\n`).join('')}`
}

function types() {
  const { inputs, actions, events, changes, records, enums, machines, config } = protocol
  const states = Object.entries(machines).map(
    ([machine, { states }]) => `  ${machine}: ${Object.keys(states).map(literal).join(' | ')}\n`,
  )
  const configs = config.client.map((shape) => {
    const renamed = shape.name === 'ClientConfig' ? { ...shape, name: 'CoreConfig' } : shape
    const fields = renamed.fields.map((field) =>
      renamed.name === 'CoreConfig' && field.name === 'token'
        ? {
            ...field,
            doc: 'the access token; null: it is asked for',
            type: 'string',
            nullable: true,
          }
        : field,
    )
    return record({ ...renamed, fields }, { without: NOT_HERE })
  })
  return [
    HEAD,
    `import type { IMError } from '../core/errors'\n`,
    comment('Up to 2^53-1 a number, above it the canonical decimal string.') +
      `export type Id = number | string\n`,
    comment('An id, or a name.') + `export type UserId = number | string\n`,
    words('TimerName', Object.keys(protocol.timers.client)),
    words('IMErrorCode', Object.keys(protocol.errors)),
    words('Capability', protocol.capabilities),
    ...Object.entries(enums).map(([called, values]) => words(called, values)),
    comment('The states of each machine.') +
      `export interface MachineStates {\n${states.join('')}}\n`,
    ...records.map((shape) => record(shape)),
    ...changes.map((shape) => record(shape, { tagged: true })),
    union('Change', changes, 'What a journal is asked to write.'),
    comment(
      'All that a journal holds, as plain data. `pairs` are [user, id, digest], the oldest first.',
    ) +
      [
        'export interface JournalData {',
        '  identity: Identity | null',
        '  outgoing: OutgoingRecord[]',
        '  cursor: Cursor | null',
        '  offered: number',
        '  handled: number[]',
        '  pairs: [UserId, Id, string][]',
        '  knownPairs: number',
        '}\n',
      ].join('\n'),
    ...events.map((shape) => record(shape, { tagged: true })),
    union('Event', events, 'Everything that an application may hear of its client.'),
    ...inputs.map((shape) =>
      record(shape, { tagged: true, optional: OF_AN_APPLICATION.includes(shape.name) }),
    ),
    union('CoreInput', inputs, "Everything that can happen to a client's engine."),
    ...actions.map((shape) => record(shape, { tagged: true })),
    union('CoreAction', actions, "Everything that a client's engine may want done."),
    ...configs,
  ].join('\n')
}

function messageTypes() {
  const { client, server, parts } = protocol.messages
  return [
    HEAD,
    `import type { Id, UserId } from './types'\n`,
    ...parts.map((shape) => record(shape)),
    ...[...client, ...server].map((shape) =>
      record({ ...shape, doc: `${shape.kind}. ${shape.doc}` }),
    ),
  ].join('\n')
}

const table = ({ initial, final, next }) => ({ initial, final, next })

function verdicts(called, table) {
  const rows = Object.entries(table).map(([code, { reason, ...flags }]) => {
    const unusual = Object.entries(flags).filter(([flag, value]) => value !== USUAL[flag])
    const more = unusual.length ? `, ${literal(Object.fromEntries(unusual))}` : ''
    return `  ${code}: verdict(${literal(reason)}${more}),\n`
  })
  return `export const ${called}: Record<number, Verdict> = {\n${rows.join('')}}\n`
}

const USUAL = {
  reconnect: true,
  refreshToken: false,
  counts: true,
  failedDelay: false,
  blame: 'nobody',
}

function tables() {
  const { machines, timers, constants, errors, defaults } = protocol
  const clients = Object.entries(machines).filter(([machine]) => machine !== 'server_connection')
  const flags = Object.entries(errors).map(
    ([code, { retryable, terminal }]) => `  ${code}: flags(${+retryable}, ${+terminal}),\n`,
  )
  const named = (flag) =>
    Object.entries(timers.client)
      .filter(([, timer]) => timer[flag])
      .map(([timer]) => timer)
  const kept = Object.fromEntries(
    Object.entries(defaults.client).filter(([field]) => !NOT_HERE.includes(field)),
  )
  return [
    HEAD,
    `import type { Blame, CoreConfig, IMErrorCode, TimerName } from './types'\n`,
    comment('What a machine may do: `next[state][event]` is the state that follows.') +
      [
        'export interface Table {',
        '  initial: string',
        '  final: readonly string[]',
        '  next: Readonly<Record<string, Readonly<Record<string, string>>>>',
        '}\n',
      ].join('\n'),
    ...clients.map(([machine, told]) => constant(machine.toUpperCase(), table(told), 'Table')),
    `export const MACHINES = {\n${clients.map(([m]) => `  ${m}: ${m.toUpperCase()},\n`).join('')}}\n`,
    comment('What to do after an end of a connection.') +
      [
        'export interface Verdict {',
        '  reconnect: boolean',
        '  refreshToken: boolean',
        '  counts: boolean',
        '  failedDelay: boolean',
        '  blame: Blame',
        '  reason: string',
        '}\n',
      ].join('\n'),
    'export const verdict = (reason: string, unusual: Partial<Verdict> = {}): Verdict => ({\n' +
      Object.entries(USUAL)
        .map(([key, value]) => `  ${key}: ${literal(value)},\n`)
        .join('') +
      '  reason,\n  ...unusual,\n})\n',
    verdicts('CLOSES', protocol.closes),
    verdicts('HTTP_STATUSES', protocol.httpStatuses),
    'const flags = (retryable: 0 | 1, terminal: 0 | 1) => ({\n' +
      '  retryable: !!retryable,\n  terminal: !!terminal,\n})\n',
    'export const ERROR_FLAGS: Record<IMErrorCode, { retryable: boolean; terminal: boolean }> = {\n' +
      `${flags.join('')}}\n`,
    constant(
      'TIMERS',
      Object.fromEntries(Object.entries(timers.client).map(([t, { called }]) => [t, called])),
      'Record<TimerName, string>',
    ),
    constant('JUDGES', named('judges'), 'readonly TimerName[]'),
    constant('OF_THE_LINK', named('ofTheLink'), 'readonly TimerName[]'),
    constant('DEFAULTS', kept, "Omit<CoreConfig, 'wsUrl' | 'token' | 'userId'>"),
    constant('CAPABILITIES_HEADER', protocol.capabilitiesHeader),
    ...Object.entries(constants).map(([called, value]) =>
      constant(called, value, '', typeof value === 'object' ? ' as const' : ''),
    ),
  ].join('\n')
}

function texts() {
  const { machines, timers, errors, product } = protocol
  const meanings = (of) =>
    Object.fromEntries(Object.entries(of).map(([key, { meaning }]) => [key, meaning]))
  const rules = product.map(({ machine, states, needs, why }) => ({ machine, states, needs, why }))
  return [
    HEAD,
    `import type { Table } from './tables'\n`,
    constant('SERVER_CONNECTION', table(machines.server_connection), 'Table'),
    comment('What each machine is.') +
      constant(
        'MACHINE_TEXTS',
        Object.fromEntries(Object.entries(machines).map(([m, { doc }]) => [m, doc])),
        'Record<string, string>',
      ),
    comment('What each state of each machine is.') +
      constant(
        'STATE_TEXTS',
        Object.fromEntries(Object.entries(machines).map(([m, { states }]) => [m, states])),
        'Record<string, Record<string, string>>',
      ),
    comment('What each deadline of the client is for.') +
      constant('TIMER_TEXTS', meanings(timers.client), 'Record<string, string>'),
    comment('What each deadline of a connection at the server is for.') +
      constant('SERVER_TIMER_TEXTS', meanings(timers.server), 'Record<string, string>'),
    constant('ERROR_TEXTS', meanings(errors), 'Record<string, string>'),
    comment(
      "Which of the client's states go together: while `machine` is in one of `states`, one of\n`needs` holds.".replace(
        '\n',
        ' ',
      ),
    ) + constant('PRODUCT', rules, '', ' as const'),
  ].join('\n')
}

const files = {
  'types.ts': types(),
  'messages.ts': messageTypes(),
  'tables.ts': tables(),
  'texts.ts': texts(),
}

const check = process.argv.includes('--check')
mkdirSync(folder, { recursive: true })
for (const [file, text] of Object.entries(files)) {
  const path = join(folder, file)
  if (!check) writeFileSync(path, text)
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    console.error(`src/generated/${file} is stale: run node tools/generate.mjs`)
    process.exitCode = 1
  }
}
