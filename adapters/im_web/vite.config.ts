import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  plugins: [vue()],
  resolve: {
    alias: {
      // the names under which applications of the original import these
      '@/components/Chat': here('./src/components'),
      '@/views/Chat': here('./src/components'),
      '@/im': here('./src'),
    },
  },
  test: {
    include: ['tests/**/*.test.ts'],
    // none takes a tenth of it, but on a machine that is busy
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
