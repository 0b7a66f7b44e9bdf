// Node 20 and older: lets fetch, which knows no proxy there, take HTTPS_PROXY and NO_PROXY.

import { EnvHttpProxyAgent, setGlobalDispatcher } from 'undici';

setGlobalDispatcher(new EnvHttpProxyAgent());
