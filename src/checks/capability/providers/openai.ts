// OpenAI's API (profile section 3). Files, batches, stored responses and everything not in this table are denied.

import type { ProviderApi } from '../provider-api.ts';
import { chat, embeddings, images, modelInBody, models, responses, speech, transcript } from '../readers/openai-body.ts';

export const provider: ProviderApi = {
  name: 'openai',
  upstream: 'https://api.openai.com',
  credential: { header: 'authorization', prefix: 'Bearer ' },
  baseUrl: { environment: 'OPENAI_BASE_URL', suffix: '/v1' },
  operations: [
    {
      method: 'POST',
      path: '/v1/chat/completions',
      body: 'json',
      outputLimit: 'max_completion_tokens',
      wants: chat(modelInBody),
    },
    { method: 'POST', path: '/v1/responses', body: 'json', outputLimit: 'max_output_tokens', wants: responses(modelInBody) },
    { method: 'POST', path: '/v1/embeddings', body: 'json', wants: embeddings(modelInBody) },
    { method: 'POST', path: '/v1/images/generations', body: 'json', wants: images(modelInBody) },
    { method: 'POST', path: '/v1/images/edits', body: 'multipart', wants: images(modelInBody) },
    { method: 'POST', path: '/v1/images/variations', body: 'multipart', wants: images(modelInBody) },
    { method: 'POST', path: '/v1/audio/speech', body: 'json', wants: speech(modelInBody) },
    { method: 'POST', path: '/v1/audio/transcriptions', body: 'multipart', wants: transcript(modelInBody) },
    { method: 'POST', path: '/v1/audio/translations', body: 'multipart', wants: transcript(modelInBody) },
    { method: 'GET', path: '/v1/models', body: 'none', wants: models },
    { method: 'GET', path: '/v1/models/{model}', body: 'none', wants: models },
  ],
};
