// Amazon Bedrock's runtime API with a Bedrock API key (profile section 3). Its endpoint is one per region, so none is the default.
// Asynchronous and bidirectional invocations, guardrails and everything not in this table are denied.

import type { ProviderApi } from '../provider-api.ts';
import { converse, invoke } from '../readers/bedrock-body.ts';

// AWS's SDKs send a body that they do not make themselves as bytes, unless they are told.
const jsonAs = ['application/octet-stream'];

export const provider: ProviderApi = {
  name: 'bedrock',
  credential: { header: 'authorization', prefix: 'Bearer ' },
  baseUrl: { environment: 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME', suffix: '' },
  operations: [
    {
      method: 'POST',
      path: '/model/{modelId}/invoke',
      body: 'json',
      jsonAs,
      outputLimit: 'max_tokens, max_gen_len or the like, as the model has it',
      wants: invoke,
    },
    {
      method: 'POST',
      path: '/model/{modelId}/invoke-with-response-stream',
      body: 'json',
      jsonAs,
      outputLimit: 'max_tokens, max_gen_len or the like, as the model has it',
      wants: invoke,
    },
    {
      method: 'POST',
      path: '/model/{modelId}/converse',
      body: 'json',
      outputLimit: 'inferenceConfig.maxTokens',
      wants: converse,
    },
    {
      method: 'POST',
      path: '/model/{modelId}/converse-stream',
      body: 'json',
      outputLimit: 'inferenceConfig.maxTokens',
      wants: converse,
    },
  ],
};
