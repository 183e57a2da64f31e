import { render } from 'preact'
import { App } from './app.tsx'
import { comingBack } from './sign-in.ts'
import { setTheme, themeNow } from './theme.ts'

setTheme(themeNow())
// Before anything is shown or asked: what an issuer sent along stands in the address no longer than it must.
const back = comingBack()
const root = document.getElementById('app')
if (root !== null) render(<App back={back} />, root)
