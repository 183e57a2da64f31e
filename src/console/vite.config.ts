import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  logLevel: 'warn',
  build: {
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    // The policy of the page takes no data: addresses.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      '/api': 'http://127.0.0.1:8444',
      '/checkpoint': 'http://127.0.0.1:8444',
      '/tile': 'http://127.0.0.1:8444',
    },
  },
})
