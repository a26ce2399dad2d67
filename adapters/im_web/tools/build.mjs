// Builds everything that is served or shipped into built/.
//
//   node tools/build.mjs            builds
//   node tools/build.mjs --check    builds elsewhere and names what differs from built/
//
// The same sources give the same bytes on every machine: no dates, no hashes in names, no absolute
// paths, no source maps. Both forms print the sizes, and fail if the client outgrows its budget.

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import vue from '@vitejs/plugin-vue'
import { build } from 'vite'

const HERE = fileURLToPath(new URL('..', import.meta.url))
const BUILT = join(HERE, 'built')

/** The pages: a folder with an index.html each; what the page loads lies beside it in assets/. */
const PAGES = ['page', 'lab']

/** The libraries: one ES module each. A budget is in bytes by gzip, so that none grows unseen. */
const LIBRARIES = [
  { name: 'im-client', entry: 'client', external: [], budget: 48 * 1024 },
  { name: 'im-vue', entry: 'components', external: ['vue'] },
  // the elements live in shadow roots: each component carries its styles as text
  { name: 'im-elements', entry: 'elements', external: [], elements: true },
]

/** How long plugins take is no news. */
const CHECKS = { pluginTimings: false }

const shared = (elements) => ({
  configFile: false,
  envDir: false,
  publicDir: false,
  mode: 'production',
  logLevel: 'warn',
  plugins: [vue({ features: { customElement: elements, componentIdGenerator: 'filepath' } })],
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
  },
})

/** What all outputs have in common. No data: URLs, which a strict CSP would have to allow. */
const output = (outDir) => ({
  outDir,
  assetsInlineLimit: 0,
  chunkSizeWarningLimit: 2000,
  modulePreload: { polyfill: false },
  reportCompressedSize: false,
  sourcemap: false,
})

async function buildPage(name, folder) {
  const root = join(HERE, 'src', name)
  await build({
    ...shared(false),
    root,
    base: './', // a site may mount the page below a path of its own
    build: {
      ...output(join(folder, name)),
      emptyOutDir: true,
      rolldownOptions: {
        checks: CHECKS,
        input: join(root, 'index.html'),
        output: {
          entryFileNames: `assets/${name}.js`,
          chunkFileNames: 'assets/[name].js',
          assetFileNames: (asset) =>
            asset.names[0]?.endsWith('.css') ? `assets/${name}.css` : 'assets/[name][extname]',
        },
      },
      cssCodeSplit: false,
    },
  })
}

/** Not Vite's library mode: that leaves the white space of an ES module as it is. */
async function buildLibrary(library, folder) {
  await build({
    ...shared(library.elements === true),
    root: HERE,
    build: {
      ...output(join(folder, 'lib')),
      emptyOutDir: false,
      cssCodeSplit: false,
      rolldownOptions: {
        checks: CHECKS,
        input: { [library.name]: entryOf(library) },
        external: library.external,
        preserveEntrySignatures: 'strict',
        output: {
          format: 'es',
          codeSplitting: false,
          entryFileNames: '[name].js',
          assetFileNames: `${library.name}[extname]`,
        },
      },
    },
  })
}

const entryOf = (library) => join(HERE, 'src', library.entry, 'index.ts')

/** Declarations of what the libraries export, and beside each library one that points there. */
function buildTypes(folder, scratch) {
  const config = join(scratch, 'tsconfig.json')
  const sources = join(HERE, 'src')
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(HERE, 'tsconfig.json'),
      compilerOptions: {
        declaration: true,
        emitDeclarationOnly: true,
        newLine: 'lf',
        noCheck: true, // `npm run types` is what checks
        noEmit: false,
        outDir: join(folder, 'lib', 'types'),
        rootDir: sources,
      },
      include: [],
      files: LIBRARIES.map(entryOf),
    }),
  )
  const tool = join(HERE, 'node_modules', 'vue-tsc', 'bin', 'vue-tsc.js')
  const run = spawnSync(process.execPath, [tool, '-p', config], { cwd: HERE, encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`vue-tsc has failed:\n${run.stdout}${run.stderr}`)
  for (const [path, bytes] of filesOf(join(folder, 'lib', 'types')))
    dropStyles(join(folder, 'lib', 'types', path), bytes.toString('utf8'))
  for (const { name, entry } of LIBRARIES)
    writeFileSync(join(folder, 'lib', `${name}.d.ts`), `export * from './types/${entry}/index'\n`)
}

/** A declaration's reader has no use for style sheets, and has none. */
function dropStyles(path, text) {
  writeFileSync(path, text.replace(/^import '[^']*\.css';\n/gm, ''))
}

async function buildAll(folder, scratch) {
  for (const name of PAGES) await buildPage(name, folder)
  for (const library of LIBRARIES) await buildLibrary(library, folder)
  buildTypes(folder, scratch)
  addNotices(folder)
}

/** What is inside of the outputs and not ours, with the licence that has to go with it. */
function addNotices(folder) {
  const licence = readFileSync(join(HERE, 'node_modules', 'vue', 'LICENSE'), 'utf8')
  for (const part of [...PAGES, 'lib'])
    writeFileSync(join(folder, part, 'third-party.txt'), `Vue (https://vuejs.org)\n\n${licence}`)
}

const named = (folder, path) => relative(folder, path).split(sep).join('/')

/** Every file below a folder, by its name in there. */
function filesOf(folder) {
  if (!existsSync(folder)) return new Map()
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [named(folder, path), readFileSync(path)]),
  )
}

/** What is wrong with the outputs themselves: an error a line. */
function faultsOf(files) {
  const faults = []
  for (const [name, bytes] of files) {
    const text = bytes.toString('utf8')
    if (text.includes(dirname(HERE)) || text.includes(HERE))
      faults.push(`${name} names a folder of this machine`)
    if (name.endsWith('.d.ts') && /from ['"]@\//.test(text))
      faults.push(`${name} imports by an alias that its reader does not have`)
  }
  for (const { name, budget } of LIBRARIES) {
    const bytes = files.get(`lib/${name}.js`)
    if (budget === undefined || bytes === undefined) continue
    const size = gzipSync(bytes, { level: 9 }).length
    if (size > budget) faults.push(`lib/${name}.js: ${size} bytes gzipped, its budget is ${budget}`)
  }
  return faults
}

function printSizes(files) {
  const row = (name, raw, zipped) =>
    console.log(name.padEnd(36) + String(raw).padStart(10) + String(zipped).padStart(10))
  row('bytes', 'raw', 'gzip')
  for (const [name, bytes] of files)
    if (!name.endsWith('.d.ts')) row(name, bytes.length, gzipSync(bytes, { level: 9 }).length)
}

/** How what was built differs from what is there: a line for each file. */
function differences(there, fresh) {
  const lines = []
  for (const name of [...new Set([...there.keys(), ...fresh.keys()])].sort()) {
    if (!there.has(name)) lines.push(`missing: built/${name}`)
    else if (!fresh.has(name)) lines.push(`not made by the sources: built/${name}`)
    else if (!there.get(name).equals(fresh.get(name))) lines.push(`differs: built/${name}`)
  }
  return lines
}

const check = process.argv.includes('--check')
// below node_modules, so that what is named in a tsconfig.json there is found
const scratch = mkdtempSync(join(HERE, 'node_modules', '.im-build-'))
const faults = []
try {
  const folder = join(scratch, 'built')
  await buildAll(folder, scratch)
  const fresh = filesOf(folder)
  printSizes(fresh)
  faults.push(...faultsOf(fresh))
  if (check) {
    faults.push(...differences(filesOf(BUILT), fresh))
  } else {
    rmSync(BUILT, { recursive: true, force: true })
    if (fresh.size > 0) cpSync(folder, BUILT, { recursive: true })
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
for (const fault of faults) console.error(fault)
if (check && faults.length > 0) console.error('`node tools/build.mjs` makes built/ anew.')
process.exitCode = faults.length > 0 ? 1 : 0
