import { interceptor } from '@forgerock/token-vault';
import { forgerock, urls } from './config.js';

interceptor({ forgerock, interceptor: { urls } });
