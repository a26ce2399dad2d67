/** The page that the server shows at its root. */
import { createApp } from 'vue'
import '../components/styles/im.css'
import './page.css'
import PageApp from './PageApp.vue'

createApp(PageApp).mount('#app')
