/** The keys a Messages request and its answer are known to have, object by object, and the values the API itself fixes. */
import { knownKeys } from './known-keys.ts'

export const REQUEST_TOP = knownKeys(`
  model messages max_tokens system stream temperature top_p top_k stop_sequences metadata thinking tools tool_choice
  container mcp_servers service_tier inference_geo output_config output_format context_management cache_control
  diagnostics speed fallbacks fallback_credit_token user_profile_id workspace_id billing_policy compaction thread betas
`)

export const REQUEST_MESSAGE = knownKeys(`
  role content
`)

export const REQUEST_BLOCK = knownKeys(`
  type text citations cache_control source title context id name input tool_use_id content is_error thinking signature
  data caller toolset_name file_id encrypted_content server_name mcp_server_name tool tools tool_name tool_changes url
  page_age stdout stderr return_code retrieved_at signet
`)

export const REQUEST_SOURCE = knownKeys(`
  type media_type data url file_id content
`)

export const REQUEST_TOOL = knownKeys(`
  type name description input_schema strict cache_control allowed_callers defer_loading input_examples max_uses
  allowed_domains blocked_domains user_location citations max_content_tokens display_width_px display_height_px
  display_number max_characters enable_zoom eager_input_streaming configs default_config tools mcp_server_name model
  caching url_sources use_cache response_inclusion max_tokens
`)

export const REQUEST_SERVER = knownKeys(`
  type url name authorization_token tool_configuration
`)

/** Keys further inside that say nothing by themselves. */
export const REQUEST_INNER = knownKeys(`
  type text content title source url id name data media_type file_id user_id ttl scope enabled allowed_tools cited_text
  document_index document_title start_char_index end_char_index start_page_number end_page_number start_block_index
  end_block_index search_result_index encrypted_index encrypted_content page_age error_code error_message content_type
  budget_tokens display effort format schema disable_parallel_tool_use edits trigger value keep clear_at_least
  exclude_tools clear_tool_inputs skills skill_id version city region country timezone model token mode
  previous_message_id tool_name tool_id tool_references server_name definition direct caller
`)

/** What the SDK's `beta` methods put behind the path; the features themselves are named in `anthropic-beta`. */
export const BETA_QUERIES: readonly string[] = ['beta=true']

/** Nothing is known: every key is the author's own word. */
export const NO_KEYS = knownKeys('')

export const ANSWER_EVENT = knownKeys(`
  type index message content_block delta usage error request_id context_management signet signet_abort
`)

export const ANSWER_MESSAGE = knownKeys(`
  id type role model content stop_reason stop_sequence stop_details usage container context_management diagnostics error
  request_id input_tokens signet signet_abort
`)

export const ANSWER_BLOCK = knownKeys(`
  type text citations thinking signature data id name input caller toolset_name tool_use_id content is_error
  server_name mcp_server_name file_id encrypted_content tools tool_changes from to trigger signet
`)

export const ANSWER_DELTA = knownKeys(`
  type text partial_json thinking signature citation content encrypted_content stop_reason stop_sequence stop_details
  container signet
`)

/** Keys further inside that say nothing by themselves. */
export const ANSWER_COMMON = knownKeys(`
  type text content title source url id name data media_type message error error_code error_message input_tokens
  output_tokens cache_creation_input_tokens cache_read_input_tokens cache_creation ephemeral_5m_input_tokens
  ephemeral_1h_input_tokens server_tool_use web_search_requests web_fetch_requests service_tier inference_geo
  output_tokens_details thinking_tokens iterations speed cited_text document_index document_title file_id
  start_char_index end_char_index start_page_number end_page_number start_block_index end_block_index
  search_result_index encrypted_index encrypted_content encrypted_stdout page_age stdout stderr return_code retrieved_at
  file_type is_file_update start_line num_lines total_lines lines old_start old_lines new_start new_lines expires_at
  category explanation applied_edits tool_id tool_name tool_references details citations enabled request_id
  prompt_tokens_details cached_tokens
`)

/** Values the API itself fixes: they need no inspection. Any other value in their places is text (enumerations age). */
export const FIXED: ReadonlySet<string> = new Set(
  `message_start message_delta message_stop content_block_start content_block_delta content_block_stop ping error message
  text thinking redacted_thinking tool_use server_tool_use mcp_tool_use web_search_tool_result web_fetch_tool_result
  code_execution_tool_result bash_code_execution_tool_result text_editor_code_execution_tool_result
  tool_search_tool_result mcp_tool_result container_upload compaction fallback
  text_delta input_json_delta thinking_delta signature_delta citations_delta compaction_delta
  char_location page_location content_block_location web_search_result_location search_result_location
  web_search_result web_search_tool_result_error web_fetch_result web_fetch_tool_result_error code_execution_result
  code_execution_output bash_code_execution_result bash_code_execution_output document base64 direct
  code_execution_20250825 assistant standard priority batch end_turn max_tokens stop_sequence pause_turn refusal
  model_context_window_exceeded not_available`
    .trim()
    .split(/\s+/),
)

/** Event names of the API: an event line with one of these must agree with the event's own `type`. */
export const EVENT_NAMES: ReadonlySet<string> = new Set([
  'message_start',
  'message_delta',
  'message_stop',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'ping',
  'error',
])

/** Members that hold nothing a person could read: encrypted or signed by the API, checked by it when sent back. */
export const SEALED: ReadonlySet<string> = new Set([
  'signature',
  'encrypted_content',
  'encrypted_index',
  'encrypted_stdout',
])
