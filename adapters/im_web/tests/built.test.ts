/** What was built, as an application sees it. */

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const LIBRARY = fileURLToPath(new URL('../built/lib/', import.meta.url))

test('the types of the libraries hold in a strict application that checks them', () => {
  const entries = readdirSync(LIBRARY).filter((name) => name.endsWith('.d.ts'))
  expect(entries).toEqual(['im-client.d.ts', 'im-elements.d.ts', 'im-vue.d.ts'])
  const program = ts.createProgram(
    entries.map((name) => LIBRARY + name),
    {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      types: [],
    },
  )
  const faults = ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => [
      file?.fileName,
      ts.flattenDiagnosticMessageText(messageText, '\n'),
    ])
  expect(faults).toEqual([])
}, 60_000)
