/** The keys a chat-completions request and its answer are known to have, object by object. */
import { knownKeys } from './known-keys.ts'

export const REQUEST_TOP = knownKeys(`
  messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
  max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
  prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed
  service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p top_k user
  verbosity web_search_options plugins search_parameters enable_search instructions reasoning data_sources
  mcp_servers web_search search_options search_settings
`)

export const REQUEST_MESSAGE = knownKeys(`
  role content name refusal audio tool_calls tool_call_id function_call reasoning reasoning_content
  reasoning_details annotations
`)

export const REQUEST_PART = knownKeys(`
  type text refusal image_url input_audio file prompt_cache_breakpoint video_url
`)

export const REQUEST_CALL = knownKeys(`
  id type function custom index signet
`)

export const REQUEST_CALLED = knownKeys(`
  name arguments input signet
`)

export const REQUEST_TOOL = knownKeys(`
  type function custom
`)

export const REQUEST_FUNCTION = knownKeys(`
  name description parameters strict format
`)

/** Keys further inside that say nothing by themselves. */
export const REQUEST_INNER = knownKeys(`
  url detail data format file_data file_id filename id type text content include_usage include_obfuscation
  json_schema schema name strict function allowed_tools mode tools custom voice search_context_size
  user_location approximate city country region timezone ttl grammar definition syntax summary signature
  effort description
`)

/** JSON Schema vocabulary: keys of a tool's parameters that are not the author's own words. */
export const REQUEST_SCHEMA = knownKeys(`
  type properties required items description enum const default title format pattern minimum maximum minLength
  maxLength minItems maxItems additionalProperties anyOf oneOf allOf not $ref $defs $schema $id definitions
  examples nullable exclusiveMinimum exclusiveMaximum multipleOf uniqueItems name parameters strict schema
  json_schema function custom grammar definition syntax
`)

export const ANSWER_TOP = knownKeys(`
  id object created model choices usage system_fingerprint service_tier obfuscation error provider signet
  signet_abort
`)

export const ANSWER_CHOICE = knownKeys(`
  index delta message finish_reason logprobs native_finish_reason stop_reason content_filter_results
`)

export const ANSWER_MESSAGE = knownKeys(`
  role content refusal reasoning reasoning_content reasoning_details thinking audio tool_calls function_call
  annotations name images signature reasoning_signature reasoning_opaque
`)

export const ANSWER_CALL = knownKeys(`
  index id type function custom signet
`)

export const ANSWER_FUNCTION = knownKeys(`
  name arguments input
`)

/** Keys further inside that say nothing by themselves. */
export const ANSWER_COMMON = knownKeys(`
  prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details cached_tokens
  audio_tokens reasoning_tokens accepted_prediction_tokens rejected_prediction_tokens text_tokens
  cache_write_tokens type text summary format index id data signature message code param transcript expires_at
  url title start_index end_index url_citation image_url content refusal token bytes logprob top_logprobs
  error detail
`)
