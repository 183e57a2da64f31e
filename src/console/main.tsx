import { render } from 'preact'
import { App } from './app.tsx'
import { setTheme, themeNow } from './theme.ts'

setTheme(themeNow())
const root = document.getElementById('app')
if (root !== null) render(<App />, root)
