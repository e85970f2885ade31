// The key page: your keys, or a login that waits for you. Nothing is written into it as markup, ever.
import { startActing } from './acting.ts'
import { at } from './elements.ts'
import { startKeys } from './keys-view.ts'
import { startLogin } from './login-view.ts'

startActing()
at('server').textContent = location.host
const login = new URLSearchParams(location.search).get('login')
if (login === null) startKeys()
else startLogin(login)
