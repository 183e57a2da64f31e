/** The keys a text-completions request and its answer are known to have. */
import { knownKeys } from './known-keys.ts'

export const REQUEST_TOP = knownKeys(`
  model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens metadata n presence_penalty provider
  response_format seed stop store stream stream_options suffix temperature top_p user service_tier top_k min_p
  repetition_penalty length_penalty stop_token_ids ignore_eos min_tokens skip_special_tokens
  spaces_between_special_tokens add_special_tokens include_stop_str_in_output truncate_prompt_tokens prompt_logprobs
  prompt_embeds guided_json guided_regex guided_choice guided_grammar plugins data_sources mcp_servers web_search
  web_search_options search_options search_settings search_parameters enable_search tools functions
`)

/** Keys further inside that say nothing by themselves. */
export const REQUEST_INNER = knownKeys(`
  include_usage include_obfuscation type json_schema schema name strict id url
`)

export const ANSWER_CHOICE = knownKeys(`
  index text finish_reason logprobs native_finish_reason stop_reason content_filter_results token_ids
  prompt_token_ids prompt_logprobs
`)

export const ANSWER_LOGPROBS = knownKeys(`
  tokens token_logprobs top_logprobs text_offset content refusal
`)
