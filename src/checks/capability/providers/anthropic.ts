// Anthropic's API (profile section 3). Message batches, files and everything not in this table are denied.

import type { ProviderApi } from '../provider-api.ts';
import { countTokens, messages, models } from '../readers/anthropic-body.ts';

// The SDK adds `?beta=true` to calls of its beta namespace.
const beta = ['beta'];

export const provider: ProviderApi = {
  name: 'anthropic',
  upstream: 'https://api.anthropic.com',
  credential: { header: 'x-api-key', prefix: '' },
  baseUrl: { environment: 'ANTHROPIC_BASE_URL', suffix: '' },
  operations: [
    { method: 'POST', path: '/v1/messages', body: 'json', query: beta, outputLimit: 'max_tokens', wants: messages },
    { method: 'POST', path: '/v1/messages/count_tokens', body: 'json', query: beta, wants: countTokens },
    { method: 'GET', path: '/v1/models', body: 'none', query: ['beta', 'limit', 'after_id', 'before_id'], wants: models },
    { method: 'GET', path: '/v1/models/{model}', body: 'none', query: beta, wants: models },
  ],
};
