// Azure OpenAI: a deployment in the path stands for the model, or OpenAI's own shape under /openai/v1 (profile section 3).

import { type OperationInput, type ProviderApi, Undetermined } from '../provider-api.ts';
import { modelName, read } from '../readers/members.ts';
import { chat, embeddings, images, modelInBody, models, responses, speech, transcript } from '../readers/openai-body.ts';

const query = ['api-version'];

function deployment({ path, body }: OperationInput): string {
  const name = modelName(path.deployment);
  const stated = read(body, 'model');
  // The SDK sends an empty one where the deployment stands in the path.
  if (stated !== undefined && stated !== '' && stated !== name) {
    throw new Undetermined('`model` differs from the deployment in the path; leave it out or send the same name');
  }
  return name;
}

export const provider: ProviderApi = {
  name: 'azure-openai',
  credential: { header: 'api-key', prefix: '' },
  baseUrl: { environment: 'AZURE_OPENAI_ENDPOINT', suffix: '' },
  operations: [
    {
      method: 'POST',
      path: '/openai/deployments/{deployment}/chat/completions',
      body: 'json',
      query,
      outputLimit: 'max_completion_tokens',
      wants: chat(deployment),
    },
    { method: 'POST', path: '/openai/deployments/{deployment}/embeddings', body: 'json', query, wants: embeddings(deployment) },
    {
      method: 'POST',
      path: '/openai/deployments/{deployment}/images/generations',
      body: 'json',
      query,
      wants: images(deployment),
    },
    {
      method: 'POST',
      path: '/openai/deployments/{deployment}/images/edits',
      body: 'multipart',
      query,
      wants: images(deployment),
    },
    { method: 'POST', path: '/openai/deployments/{deployment}/audio/speech', body: 'json', query, wants: speech(deployment) },
    {
      method: 'POST',
      path: '/openai/deployments/{deployment}/audio/transcriptions',
      body: 'multipart',
      query,
      wants: transcript(deployment),
    },
    {
      method: 'POST',
      path: '/openai/deployments/{deployment}/audio/translations',
      body: 'multipart',
      query,
      wants: transcript(deployment),
    },
    {
      method: 'POST',
      path: '/openai/v1/chat/completions',
      body: 'json',
      query,
      outputLimit: 'max_completion_tokens',
      wants: chat(modelInBody),
    },
    {
      method: 'POST',
      path: '/openai/v1/responses',
      body: 'json',
      query,
      outputLimit: 'max_output_tokens',
      wants: responses(modelInBody),
    },
    {
      method: 'POST',
      path: '/openai/responses',
      body: 'json',
      query,
      outputLimit: 'max_output_tokens',
      wants: responses(modelInBody),
    },
    { method: 'POST', path: '/openai/v1/embeddings', body: 'json', query, wants: embeddings(modelInBody) },
    { method: 'POST', path: '/openai/v1/images/generations', body: 'json', query, wants: images(modelInBody) },
    { method: 'POST', path: '/openai/v1/images/edits', body: 'multipart', query, wants: images(modelInBody) },
    { method: 'POST', path: '/openai/v1/audio/speech', body: 'json', query, wants: speech(modelInBody) },
    { method: 'POST', path: '/openai/v1/audio/transcriptions', body: 'multipart', query, wants: transcript(modelInBody) },
    { method: 'POST', path: '/openai/v1/audio/translations', body: 'multipart', query, wants: transcript(modelInBody) },
    { method: 'GET', path: '/openai/v1/models', body: 'none', query, wants: models },
    { method: 'GET', path: '/openai/v1/models/{model}', body: 'none', query, wants: models },
  ],
};
