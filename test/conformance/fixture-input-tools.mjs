// Tools and a prompt of 2026-07-28 that need something from the client first (SEP-2322): they answer `input_required`,
// the client asks again with what it was asked for, and with the state it was given.
import { randomBytes } from 'node:crypto'
import { acceptedContent, createRequestStateCodec, inputRequired, inputResponse } from '@modelcontextprotocol/server'
import { says, text } from './fixture-content.mjs'

/** Seals what a tool remembers between two rounds: it comes back through the client, who must not be able to change it. */
export const requestState = createRequestStateCodec({ key: randomBytes(32) })

export const inputTools = {
  test_input_required_result_elicitation: {
    description: 'Needs an answer of the user',
    call: (_args, context) => {
      const name = accepted(context, 'user_name')?.name
      return typeof name === 'string' ? says(`Hello, ${name}!`) : inputRequired({ inputRequests: askForName() })
    },
  },
  test_input_required_result_sampling: {
    description: 'Needs an answer of the model',
    call: (_args, context) => {
      const answer = sampled(context, 'capital_question')
      if (answer) return says(answer.content.text)
      return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?') } })
    },
  },
  test_input_required_result_list_roots: {
    description: 'Needs the roots of the client',
    call: (_args, context) => {
      const roots = rootsOf(context, 'client_roots')
      if (roots) return says(roots.map((root) => root.uri).join(' '))
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
    },
  },
  test_input_required_result_multiple_inputs: {
    description: 'Needs an answer of the user, of the model, and the roots at once',
    call: async (_args, context) => {
      const everything =
        context.mcpReq.requestState() === 'asked for three' &&
        accepted(context, 'user_name') &&
        sampled(context, 'greeting') &&
        rootsOf(context, 'client_roots')
      if (everything) return says('received all three')
      return inputRequired({
        inputRequests: {
          ...askForName(),
          greeting: sample('Generate a greeting'),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await requestState.mint('asked for three'),
      })
    },
  },
  test_input_required_result_multi_round: {
    description: 'Needs two answers of the user, one after the other',
    call: async (_args, context) => {
      const state = context.mcpReq.requestState()
      const name = accepted(context, 'step1')?.name
      const color = accepted(context, 'step2')?.color
      if (state?.step === 2 && typeof color === 'string') return says(`${state.name} likes ${color}`)
      if (state?.step === 1 && typeof name === 'string') {
        return inputRequired({
          inputRequests: { step2: ask('Step 2: What is your favorite color?', { color: { type: 'string' } }) },
          requestState: await requestState.mint({ step: 2, name }),
        })
      }
      return inputRequired({
        inputRequests: { step1: ask('Step 1: What is your name?', { name: { type: 'string' } }) },
        requestState: await requestState.mint({ step: 1 }),
      })
    },
  },
  test_input_required_result_request_state: {
    description: 'Needs a confirmation, and remembers that it asked',
    call: confirmOnce,
  },
  test_input_required_result_tampered_state: {
    description: 'Needs a confirmation, and refuses a state it did not seal',
    call: confirmOnce,
  },
  test_input_required_result_capabilities: {
    description: 'Asks only for what the client said it can do',
    call: (_args, context) => {
      if (context.mcpReq.inputResponses) return says('received')
      const { sampling, elicitation } = context.mcpReq.envelope?.['io.modelcontextprotocol/clientCapabilities'] ?? {}
      const inputRequests = {
        ...(sampling && { answer: sample('ping') }),
        ...(elicitation && askForName()),
      }
      return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : says('nothing to ask for')
    },
  },
  test_missing_capability: {
    description: 'Needs an answer of the model, whether or not the client has one',
    call: (_args, context) => (sampled(context, 'answer') ? says('received') : inputRequired({ inputRequests: { answer: sample('ping') } })),
  },
}

export const inputPrompt = {
  description: 'Needs an answer of the user',
  get: (context) => {
    const about = accepted(context, 'user_context')?.context
    if (typeof about !== 'string') {
      return inputRequired({
        inputRequests: { user_context: ask('What context should the prompt use?', { context: { type: 'string' } }) },
      })
    }
    return { messages: [{ role: 'user', content: text(`Prompt with context: ${about}`) }] }
  },
}

async function confirmOnce(_args, context) {
  if (context.mcpReq.requestState() === 'asked' && accepted(context, 'confirm')) return says('state-ok')
  return inputRequired({
    inputRequests: { confirm: ask('Please confirm', { ok: { type: 'boolean' } }) },
    requestState: await requestState.mint('asked'),
  })
}

function ask(message, properties) {
  const required = Object.keys(properties)
  return inputRequired.elicit({ message, requestedSchema: { type: 'object', properties, required } })
}

function askForName() {
  return { user_name: ask('What is your name?', { name: { type: 'string' } }) }
}

function sample(prompt) {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
    maxTokens: 100,
  })
}

function accepted({ mcpReq }, key) {
  return acceptedContent(mcpReq.inputResponses, key)
}

function sampled({ mcpReq }, key) {
  const answer = inputResponse(mcpReq.inputResponses, key)
  return answer.kind === 'sampling' ? answer.result : undefined
}

function rootsOf({ mcpReq }, key) {
  const answer = inputResponse(mcpReq.inputResponses, key)
  return answer.kind === 'roots' ? answer.roots : undefined
}
