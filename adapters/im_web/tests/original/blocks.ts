/** The blocks of code in the README of the original module, word for word. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** One fenced block. */
export interface Block {
  language: string
  code: string
  /** The heading that it stands under. */
  under: string
}

/** All of them, in order. */
export function blocks(): Block[] {
  const path = fileURLToPath(new URL('./readme.md', import.meta.url))
  const found: Block[] = []
  let under = ''
  let open: Block | null = null
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (open && line === '```') {
      found.push(open)
      open = null
    } else if (open) open.code += `${line}\n`
    else if (line.startsWith('```')) open = { language: line.slice(3), code: '', under }
    else if (line.startsWith('#')) under = line.replace(/^#+ /, '')
  }
  return found
}

/** What a block is: a type, a method's signature, or something that runs. */
export function kindOf({ language, code }: Block): 'vue' | 'type' | 'signature' | 'program' {
  if (language === 'vue') return 'vue'
  if (code.startsWith('interface ')) return 'type'
  return /^(async )?\w+\([^)]*\)(: .*)?\n$/.test(code) ? 'signature' : 'program'
}

/** "And so on" stands in two blocks where settings are left out. */
export const filled = (code: string): string => code.replace('// ...其他配置', '...others,')
