import { createApp } from 'vue'
import { IMClient } from '../client/index'
import { LabApi } from './api'
import App from './App.vue'
import type { LabWorld } from './lab'
import './styles/base.css'
import './styles/bar.css'
import './styles/side.css'
import './styles/engine.css'
import './styles/log.css'

// the key came with the address once, and is a cookie now
history.replaceState(null, '', location.pathname)

const world: LabWorld = {
  api: new LabApi(),
  base: {
    now: () => performance.now(),
    wall: () => Date.now(),
    setTimeout: (callback, ms) => setTimeout(callback, ms),
    clearTimeout: (timer) => clearTimeout(timer as number),
  },
  makeClient: (config) => new IMClient(config),
}

createApp(App, { world }).mount('#lab')
