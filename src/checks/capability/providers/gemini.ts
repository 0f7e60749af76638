// Google's Gemini API (profile section 3). The key goes into a header; a query `key` is refused for every provider.
// Files, caches, batches, tuned models and the OpenAI-shaped paths are not in this table, so they are denied.

import type { Operation, ProviderApi } from '../provider-api.ts';
import { batchEmbed, countTokens, embed, generate, models } from '../readers/gemini-body.ts';

function operations(version: string): readonly Operation[] {
  return [
    {
      method: 'POST',
      path: `/${version}/models/{model}:generateContent`,
      body: 'json',
      outputLimit: 'generationConfig.maxOutputTokens',
      wants: generate,
    },
    {
      method: 'POST',
      path: `/${version}/models/{model}:streamGenerateContent`,
      body: 'json',
      query: ['alt'],
      outputLimit: 'generationConfig.maxOutputTokens',
      wants: generate,
    },
    { method: 'POST', path: `/${version}/models/{model}:embedContent`, body: 'json', wants: embed },
    { method: 'POST', path: `/${version}/models/{model}:batchEmbedContents`, body: 'json', wants: batchEmbed },
    { method: 'POST', path: `/${version}/models/{model}:countTokens`, body: 'json', wants: countTokens },
    { method: 'GET', path: `/${version}/models`, body: 'none', query: ['pageSize', 'pageToken'], wants: models },
    { method: 'GET', path: `/${version}/models/{model}`, body: 'none', wants: models },
  ];
}

export const provider: ProviderApi = {
  name: 'gemini',
  upstream: 'https://generativelanguage.googleapis.com',
  credential: { header: 'x-goog-api-key', prefix: '' },
  baseUrl: { environment: 'GOOGLE_GEMINI_BASE_URL', suffix: '' },
  operations: [...operations('v1beta'), ...operations('v1')],
};
