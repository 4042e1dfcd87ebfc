import { testCases } from '../../support/h2/test-cases.js';
import { requests } from './cases/requests.js';

testCases(requests);
